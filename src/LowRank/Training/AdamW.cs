using LowRank.Tensors.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Training;

/// <summary>AdamW (arXiv 1711.05101), operation for operation as PyTorch computes it.</summary>
/// <remarks>State: two float32 tensors of each weight's shape, all means one piece of memory and all squares another. Weights are
/// changed in place. On the processor all weights go through one pass over their memory, shared by torch's threads; each number is
/// computed by itself, so the result does not depend on their number. Other devices compute with torch's operations.</remarks>
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
    private readonly bool[] isPlain; // in the processor's memory, row after row

    /// <summary>Allocates the state of the given weights, zero at the start.</summary>
    /// <exception cref="ArgumentException">The weights are not all float32 and on one device.</exception>
    public AdamW(IReadOnlyList<KeyValuePair<string, Tensor>> weights, TrainingOptions options)
    {
        this.weights = weights;
        (beta1, beta2, epsilon, weightDecay) = (options.Beta1, options.Beta2, options.Epsilon, options.WeightDecay);
        Tensor[] tensors = [.. weights.Select(w => w.Value)];
        (means, squares) = (FlatTensor.Zeros(tensors), FlatTensor.Zeros(tensors));
        blocks = new WeightBlocks(tensors);
        (memory, constants) = (new AdamMemory[tensors.Length], new AdamConstants[tensors.Length]);
        // One that stands there twice takes its steps one after the other.
        HashSet<Tensor> twice = new(tensors.GroupBy(tensor => tensor, (IEqualityComparer<Tensor>)ReferenceEqualityComparer.Instance).Where(same => same.Count() > 1).Select(same => same.Key), ReferenceEqualityComparer.Instance);
        isPlain = [.. tensors.Select(tensor => NativeTensor.IsPlain(tensor) && !twice.Contains(tensor))];
    }

    /// <summary>Steps taken.</summary>
    public long StepCount { get; private set; }

    /// <summary>One step with the gradients the weights carry; a weight without one is left as it is.</summary>
    /// <param name="learningRate">The step's rate.</param>
    /// <param name="factor">A weight's rate as a multiple of it, by name; null for 1.</param>
    /// <param name="gradientScale">What gradients count for: less than 1 where they are clipped. The gradients themselves stay as they are.</param>
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
            constants[i] = new AdamConstants((float)gradientScale, (float)(1 - rate * weightDecay), (float)(1 - beta1), (float)beta2, (float)(1 - beta2),
                root, (float)epsilon, (float)(-rate / correction1));
            if (isPlain[i])
                memory[i] = new AdamMemory(NativeTensor.Address(weight), NativeTensor.GradientAddress(weight), NativeTensor.Address(means.Parts[i]), NativeTensor.Address(squares.Parts[i]));
            else if (weight.grad is { } gradient)
                Step(weight, gradient, means.Parts[i], squares.Parts[i], constants[i]);
        }
        new AdamWork(blocks, memory, constants).Run();
    }

    /// <summary>The state by name, for a checkpoint; the tensors stay the optimizer's own.</summary>
    public IReadOnlyList<KeyValuePair<string, Tensor>> State() =>
        [.. weights.SelectMany((w, i) => new[] { KeyValuePair.Create(w.Key + ".mean", means.Parts[i]), KeyValuePair.Create(w.Key + ".square", squares.Parts[i]) })];

    /// <summary>Goes on from a checkpoint, whose tensors have been copied into those of <see cref="State"/>.</summary>
    /// <param name="steps">Steps that had been taken.</param>
    public void Resume(long steps) => StepCount = steps;

    /// <inheritdoc/>
    public void Dispose()
    {
        means.Dispose();
        squares.Dispose();
    }

    /// <summary>A step of one weight with torch's operations.</summary>
    internal static void Step(Tensor weight, Tensor gradient, Tensor mean, Tensor square, in AdamConstants step)
    {
        if (step.Scale != 1) gradient = gradient.mul(step.Scale);
        if (step.Decay != 1) weight.mul_(step.Decay);
        mean.lerp_(gradient, full([], step.Fraction, ScalarType.Float32, weight.device));
        square.mul_(step.Beta2).addcmul_(gradient, gradient, step.Rest);
        Tensor denominator = square.sqrt().div_(step.Root).add_(step.Epsilon);
        weight.addcdiv_(mean, denominator, step.StepSize);
    }
}
