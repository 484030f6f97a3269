using LowRank.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Training;

/// <summary>AdamW (arXiv 1711.05101) with the same operations as PyTorch.</summary>
/// <remarks>State: two moments per weight (<see cref="AdamMoments"/>), float32 or a byte per number. Weights are
/// changed in place. On the processor one pass over the memory updates all weights on torch's threads; each number is
/// computed independently, so the result does not depend on the number of threads. Other devices use torch's
/// operations, and <see cref="Queued"/> has them take whole steps without anyone waiting.</remarks>
internal sealed class AdamW : IDisposable
{
    private readonly IReadOnlyList<KeyValuePair<string, Tensor>> weights;
    private readonly TrainerOptions options;
    private readonly AdamMoments moments;
    private readonly AdamStep wideStep;
    private readonly EightBitAdamStep packedStep;
    private readonly AdamConstants[] constants;
    private long steps;

    /// <summary>Allocates the state of the given weights, initially zero.</summary>
    /// <exception cref="ArgumentException">The weights are not all float32 and on one device.</exception>
    public AdamW(IReadOnlyList<KeyValuePair<string, Tensor>> weights, TrainerOptions options)
    {
        (this.weights, this.options) = (weights, options);
        moments = new AdamMoments(weights, options.EightBitState);
        wideStep = new AdamStep(Of(moments.Wide), moments.Means.Parts, moments.Squares.Parts);
        packedStep = new EightBitAdamStep(Of(moments.Packed), moments.PackedMeans, moments.PackedSquares);
        constants = new AdamConstants[weights.Count];
        if (options.QueuesSteps ?? QueuedAdam.Fits(weights)) Queued = new QueuedAdam(weights, moments, options);
    }

    /// <summary>Takes steps on a device without waiting for it; null on the processor.</summary>
    public QueuedAdam? Queued { get; }

    /// <summary>Number of steps taken; on a device, this waits for it.</summary>
    public long StepCount => Queued?.StepCount ?? steps;

    /// <summary>Takes one step with the weights' gradients; a weight without a gradient is not changed.</summary>
    /// <param name="learningRate">The learning rate of the step.</param>
    /// <param name="factor">A weight's rate as a multiple of the learning rate, by name; null for 1.</param>
    /// <param name="gradientScale">Scale of the gradients: less than 1 if they are clipped. The gradients themselves
    /// are not changed.</param>
    public void Step(double learningRate, Func<string, double>? factor = null, double gradientScale = 1)
    {
        long count = StepCount + 1;
        Resume(count);
        double correction1 = 1 - Math.Pow(options.Beta1, count);
        float root = (float)Math.Sqrt(1 - Math.Pow(options.Beta2, count));
        for (int i = 0; i < constants.Length; i++)
        {
            double rate = factor is null ? learningRate : learningRate * factor(weights[i].Key);
            constants[i] = new AdamConstants(
                (float)gradientScale, (float)(1 - rate * options.WeightDecay), (float)(1 - options.Beta1),
                (float)options.Beta2, (float)(1 - options.Beta2), root, (float)options.Epsilon,
                (float)(-rate / correction1));
        }
        wideStep.Take(Of(moments.Wide, constants));
        packedStep.Take(Of(moments.Packed, constants));
    }

    /// <summary>The state by name, for a checkpoint; the optimizer keeps ownership of the tensors.</summary>
    public IReadOnlyList<KeyValuePair<string, Tensor>> State() => moments.State();

    /// <summary>Continues from a checkpoint whose tensors have been copied into those of <see cref="State"/>.</summary>
    /// <param name="taken">Number of steps taken before.</param>
    public void Resume(long taken)
    {
        steps = taken;
        if (Queued is not null) Queued.StepCount = taken;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Queued?.Dispose();
        moments.Dispose();
    }

    private Tensor[] Of(int[] numbers) => [.. numbers.Select(number => weights[number].Value)];

    // Without a copy where there is only one kind, as a step must not allocate.
    private static AdamConstants[] Of(int[] numbers, AdamConstants[] all) =>
        numbers.Length == all.Length ? all : [.. numbers.Select(number => all[number])];
}
