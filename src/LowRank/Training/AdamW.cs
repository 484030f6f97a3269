using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using LowRank.Kernels;
using LowRank.Kernels.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Training;

/// <summary>AdamW (arXiv 1711.05101) with the same operations as PyTorch.</summary>
/// <remarks>State: two float32 tensors of each weight's shape; all means share one block of memory and all squares
/// another. Weights are changed in place. On the processor one pass over the memory updates all weights on torch's
/// threads; each number is computed independently, so the result does not depend on the number of threads. Other
/// devices use torch's operations.</remarks>
public sealed unsafe class AdamW : IDisposable
{
    private readonly IReadOnlyList<KeyValuePair<string, Tensor>> weights;
    private readonly FlatTensor means;
    private readonly FlatTensor squares;
    private readonly double beta1;
    private readonly double beta2;
    private readonly double epsilon;
    private readonly double weightDecay;
    private readonly WeightBlocks blocks;
    private readonly AdamMemory[] memory;
    private readonly AdamConstants[] constants;
    private readonly bool[] isFlat; // contiguous in the processor's memory

    /// <summary>Allocates the state of the given weights, initially zero.</summary>
    /// <exception cref="ArgumentException">The weights are not all float32 and on one device.</exception>
    public AdamW(IReadOnlyList<KeyValuePair<string, Tensor>> weights, TrainerOptions options)
    {
        this.weights = weights;
        (beta1, beta2, epsilon, weightDecay) = (options.Beta1, options.Beta2, options.Epsilon, options.WeightDecay);
        Tensor[] tensors = [.. weights.Select(w => w.Value)];
        (means, squares) = (FlatTensor.Zeros(tensors), FlatTensor.Zeros(tensors));
        blocks = new WeightBlocks(tensors);
        (memory, constants) = (new AdamMemory[tensors.Length], new AdamConstants[tensors.Length]);
        // A weight that occurs twice takes its steps one after the other.
        HashSet<Tensor> twice =
            new(tensors.GroupBy(tensor => tensor, (IEqualityComparer<Tensor>)ReferenceEqualityComparer.Instance)
            .Where(same => same.Count() > 1).Select(same => same.Key), ReferenceEqualityComparer.Instance);
        isFlat = [.. tensors.Select(tensor => NativeTensor.IsPlain(tensor) && !twice.Contains(tensor))];
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
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        double correction1 = 1 - Math.Pow(beta1, StepCount);
        float root = (float)Math.Sqrt(1 - Math.Pow(beta2, StepCount));
        for (int i = 0; i < memory.Length; i++)
        {
            memory[i] = default;
            (string name, Tensor weight) = weights[i];
            double rate = factor is null ? learningRate : learningRate * factor(name);
            constants[i] = new AdamConstants(
                (float)gradientScale, (float)(1 - rate * weightDecay), (float)(1 - beta1), (float)beta2,
                (float)(1 - beta2),
                root, (float)epsilon, (float)(-rate / correction1));
            if (isFlat[i] && !KernelForm.IsPlain)
                memory[i] = new AdamMemory(NativeTensor.Address(weight), NativeTensor.GradientAddress(weight),
                    NativeTensor.Address(means.Parts[i]), NativeTensor.Address(squares.Parts[i]));
            else if (weight.grad is { } gradient)
                AdamStep.Plain(weight, gradient, means.Parts[i], squares.Parts[i], constants[i]);
        }
        AdamStep.Fast(blocks, memory, constants);
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
