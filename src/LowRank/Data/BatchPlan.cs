namespace LowRank.Data;

/// <summary>Which examples each optimizer step takes: a pure function of the step, so that a run resumes anywhere.
/// One thread at a time may ask.</summary>
public sealed class BatchPlan
{
    private readonly IReadOnlyList<IExample> examples;
    private readonly int batchSize;
    private readonly long examplesPerStep;
    private readonly bool shuffle;
    private readonly long seed;
    private readonly IRowArranger arranger;
    private (long Epoch, int[] Order)? current;

    /// <summary>Plans a run.</summary>
    /// <param name="examples">At least one.</param>
    /// <param name="batchSize">Examples of a micro-batch; the last one of an epoch may have fewer.</param>
    /// <param name="accumulation">Micro-batches of a step, whose rows are this many times the batch size; the last step of an
    /// epoch may have fewer, and an arranger may split a step otherwise.</param>
    /// <param name="shuffle">Whether each epoch has an order of its own; false keeps the order of the data.</param>
    /// <param name="seed">Seed of the orders.</param>
    /// <param name="arranger">Decides which rows are computed together; null takes them as they come.</param>
    /// <exception cref="ArgumentException">A number is not positive, or there are no examples.</exception>
    public BatchPlan(IReadOnlyList<IExample> examples, int batchSize, int accumulation, bool shuffle, long seed, IRowArranger? arranger = null)
    {
        if (examples.Count == 0) throw new ArgumentException("There is no example to plan with.", nameof(examples));
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(batchSize);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(accumulation);
        (this.examples, this.batchSize, this.shuffle, this.seed) = (examples, batchSize, shuffle, seed);
        this.arranger = arranger ?? RowsInOrder.Instance;
        examplesPerStep = (long)batchSize * accumulation;
        StepsPerEpoch = (examples.Count + examplesPerStep - 1) / examplesPerStep;
    }

    /// <summary>Optimizer steps of a pass over the data.</summary>
    public long StepsPerEpoch { get; }

    /// <summary>The batches of a step, counted from 0 over all epochs.</summary>
    public StepBatches Step(long step)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(step);
        int[] order = Order(step / StepsPerEpoch);
        int first = (int)(step % StepsPerEpoch * examplesPerStep); // below the number of examples
        int count = (int)Math.Min(examplesPerStep, order.Length - first);
        IExample[] taken = [.. order.AsSpan(first, count).ToArray().Select(i => examples[i])];
        return new StepBatches(arranger.MicroBatches(taken, batchSize), taken.Sum(example => (long)example.PredictedLabels));
    }

    private int[] Order(long epoch)
    {
        if (current is { } known && known.Epoch == epoch) return known.Order;
        int[] order = shuffle
            ? new StableRandom(unchecked((ulong)seed * 0xD1342543DE82EF95 + (ulong)epoch)).Permutation(examples.Count)
            : [.. Enumerable.Range(0, examples.Count)];
        order = arranger.Order(examples, order);
        current = (epoch, order);
        return order;
    }
}
