using LowRank.Kernels;
using static TorchSharp.torch;

namespace LowRank.Training;

/// <summary>AdamW (arXiv 1711.05101) with the same operations as PyTorch.</summary>
/// <remarks>State: two float32 tensors of each weight's shape; all means share one block of memory and all squares
/// another. Weights are changed in place. On the processor one pass over the memory updates all weights on torch's
/// threads; each number is computed independently, so the result does not depend on the number of threads. Other
/// devices use torch's operations.</remarks>
internal sealed class AdamW : IDisposable
{
    private readonly IReadOnlyList<KeyValuePair<string, Tensor>> weights;
    private readonly FlatTensor means;
    private readonly FlatTensor squares;
    private readonly double beta1;
    private readonly double beta2;
    private readonly double epsilon;
    private readonly double weightDecay;
    private readonly AdamStep step;
    private readonly AdamConstants[] constants;

    /// <summary>Allocates the state of the given weights, initially zero.</summary>
    /// <exception cref="ArgumentException">The weights are not all float32 and on one device.</exception>
    public AdamW(IReadOnlyList<KeyValuePair<string, Tensor>> weights, TrainerOptions options)
    {
        this.weights = weights;
        (beta1, beta2, epsilon, weightDecay) = (options.Beta1, options.Beta2, options.Epsilon, options.WeightDecay);
        Tensor[] tensors = [.. weights.Select(w => w.Value)];
        (means, squares) = (FlatTensor.Zeros(tensors), FlatTensor.Zeros(tensors));
        step = new AdamStep(tensors, means.Parts, squares.Parts);
        constants = new AdamConstants[tensors.Length];
    }

    /// <summary>Number of steps taken.</summary>
    public long StepCount { get; private set; }

    /// <summary>Takes one step with the weights' gradients; a weight without a gradient is not changed.</summary>
    /// <param name="learningRate">The learning rate of the step.</param>
    /// <param name="factor">A weight's rate as a multiple of the learning rate, by name; null for 1.</param>
    /// <param name="gradientScale">Scale of the gradients: less than 1 if they are clipped. The gradients themselves
    /// are not changed.</param>
    public void Step(double learningRate, Func<string, double>? factor = null, double gradientScale = 1)
    {
        StepCount++;
        double correction1 = 1 - Math.Pow(beta1, StepCount);
        float root = (float)Math.Sqrt(1 - Math.Pow(beta2, StepCount));
        for (int i = 0; i < constants.Length; i++)
        {
            double rate = factor is null ? learningRate : learningRate * factor(weights[i].Key);
            constants[i] = new AdamConstants(
                (float)gradientScale, (float)(1 - rate * weightDecay), (float)(1 - beta1), (float)beta2,
                (float)(1 - beta2),
                root, (float)epsilon, (float)(-rate / correction1));
        }
        step.Take(constants);
    }

    /// <summary>The state by name, for a checkpoint; the optimizer keeps ownership of the tensors.</summary>
    public IReadOnlyList<KeyValuePair<string, Tensor>> State() =>
        [.. weights.SelectMany(
            (w, i) =>
            new[] { KeyValuePair.Create(w.Key + ".mean", means.Parts[i]),
            KeyValuePair.Create(w.Key + ".square", squares.Parts[i]) })];

    /// <summary>Continues from a checkpoint whose tensors have been copied into those of <see cref="State"/>.</summary>
    /// <param name="steps">Number of steps taken before.</param>
    public void Resume(long steps) => StepCount = steps;

    /// <inheritdoc/>
    public void Dispose()
    {
        means.Dispose();
        squares.Dispose();
    }
}
