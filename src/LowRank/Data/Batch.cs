namespace LowRank.Data;

/// <summary>Rows padded on the right to the longest one, flattened row by row.</summary>
/// <param name="InputIds">[rows · length]; padding is token 0, hidden by the mask.</param>
/// <param name="Labels">[rows · length]; padding is -100.</param>
/// <param name="AttentionMask">[rows · length]; null if every position is a token.</param>
/// <param name="Length">Positions per row.</param>
/// <param name="Tokens">Number of positions that are tokens.</param>
internal sealed record Batch(long[] InputIds, long[] Labels, long[]? AttentionMask, int Length, long Tokens)
{
    /// <summary>Pads examples to a batch.</summary>
    public static Batch Pad(IReadOnlyList<TokenizedExample> examples)
    {
        int length = examples.Max(example => example.InputIds.Length);
        var ids = new long[examples.Count * length];
        var labels = new long[ids.Length];
        var mask = new long[ids.Length];
        Array.Fill(labels, TokenizedExample.Ignored);
        for (int row = 0; row < examples.Count; row++)
        {
            TokenizedExample example = examples[row];
            for (int i = 0; i < example.InputIds.Length; i++)
            {
                int at = row * length + i;
                ids[at] = example.InputIds[i];
                labels[at] = example.Labels[i];
                mask[at] = example.AttentionMask?[i] ?? 1;
            }
        }
        long tokens = mask.Sum();
        return new Batch(ids, labels, tokens == mask.Length ? null : mask, length, tokens);
    }
}

/// <summary>The examples of each optimizer step: a pure function of the step, so a run can resume anywhere. Not
/// thread-safe.</summary>
internal sealed class BatchPlan
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
    /// <param name="batchSize">Examples per micro-batch; the last one of an epoch may have fewer.</param>
    /// <param name="accumulation">Micro-batches per step: a step has this many times the batch size in rows. The last
    /// step of an epoch may have fewer, and an arranger may split a step differently.</param>
    /// <param name="shuffle">Whether to shuffle each epoch; false keeps the order of the data.</param>
    /// <param name="seed">Seed of the orders.</param>
    /// <param name="arranger">Decides which rows are computed together; null takes them in order.</param>
    /// <exception cref="ArgumentException">A number is not positive, or there are no examples.</exception>
    public BatchPlan(IReadOnlyList<IExample> examples, int batchSize, int accumulation, bool shuffle, long seed,
        IRowArranger? arranger = null)
    {
        if (examples.Count == 0) throw new ArgumentException("There are no examples to plan.", nameof(examples));
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(batchSize);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(accumulation);
        (this.examples, this.batchSize, this.shuffle, this.seed) = (examples, batchSize, shuffle, seed);
        this.arranger = arranger ?? RowsInOrder.Instance;
        examplesPerStep = (long)batchSize * accumulation;
        StepsPerEpoch = (examples.Count + examplesPerStep - 1) / examplesPerStep;
    }

    /// <summary>Optimizer steps per pass over the data.</summary>
    public long StepsPerEpoch { get; }

    /// <summary>The batches of a step, counted from 0 over all epochs.</summary>
    public StepBatches Step(long step)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(step);
        int[] order = Order(step / StepsPerEpoch);
        int first = (int)(step % StepsPerEpoch * examplesPerStep); // less than the number of examples
        int count = (int)Math.Min(examplesPerStep, order.Length - first);
        IExample[] taken = [.. order.AsSpan(first, count).ToArray().Select(i => examples[i])];
        return new StepBatches(
            arranger.MicroBatches(taken, batchSize), taken.Sum(example => (long)example.PredictedLabels));
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

/// <summary>The micro-batches of one optimizer step.</summary>
/// <param name="MicroBatches">At least one micro-batch; each is a list of examples.</param>
/// <param name="PredictedLabels">Total number of predicted labels, by which the step's loss is divided.</param>
internal sealed record StepBatches(IReadOnlyList<IReadOnlyList<IExample>> MicroBatches, long PredictedLabels);

/// <summary>Decides which rows are computed together.</summary>
/// <remarks>A pure function of its arguments, so runs can be repeated and resumed.</remarks>
internal interface IRowArranger
{
    /// <summary>The order of an epoch.</summary>
    /// <param name="examples">All training examples.</param>
    /// <param name="drawn">The random order of the epoch, as example numbers.</param>
    int[] Order(IReadOnlyList<IExample> examples, int[] drawn);

    /// <summary>The micro-batches of a step, which together contain each of its rows once.</summary>
    /// <param name="rows">The step's rows, in order.</param>
    /// <param name="batchSize">Rows per micro-batch.</param>
    IReadOnlyList<IReadOnlyList<IExample>> MicroBatches(IReadOnlyList<IExample> rows, int batchSize);

    /// <summary>Batches of an evaluation, the largest first.</summary>
    /// <param name="rows">Rows that each predict at least one label.</param>
    /// <param name="batchSize">Rows per batch.</param>
    IReadOnlyList<IReadOnlyList<IExample>> EvaluationBatches(IReadOnlyList<IExample> rows, int batchSize);

    /// <summary>Number of positions that a batch computes, including padding.</summary>
    long Positions(IReadOnlyList<IExample> rows);
}

/// <summary>Keeps rows in order, padded to the longest of their batch: for tasks whose rows must not move.</summary>
internal sealed class RowsInOrder : IRowArranger
{
    /// <summary>The only one.</summary>
    public static RowsInOrder Instance { get; } = new();

    /// <inheritdoc/>
    public int[] Order(IReadOnlyList<IExample> examples, int[] drawn) => drawn;

    /// <inheritdoc/>
    public IReadOnlyList<IReadOnlyList<IExample>> MicroBatches(IReadOnlyList<IExample> rows, int batchSize) =>
        [.. rows.Chunk(batchSize)];

    // The longest rows first, so the memory they free fits all that follow. In the other order every batch is slightly
    // too large for the memory freed by the last one, and the process grows by a quarter.
    /// <inheritdoc/>
    public IReadOnlyList<IReadOnlyList<IExample>> EvaluationBatches(IReadOnlyList<IExample> rows, int batchSize) =>
        [.. rows.OrderByDescending(row => row.Length).Chunk(batchSize)];

    /// <inheritdoc/>
    public long Positions(IReadOnlyList<IExample> rows) => (long)rows.Count * rows.Max(row => row.Length);
}
