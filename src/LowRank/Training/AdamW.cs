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
    private readonly bool[] isPlain; // contiguous in the processor's memory

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
        isPlain = [.. tensors.Select(tensor => NativeTensor.IsPlain(tensor) && !twice.Contains(tensor))];
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
            if (isPlain[i])
                memory[i] = new AdamMemory(NativeTensor.Address(weight), NativeTensor.GradientAddress(weight),
                    NativeTensor.Address(means.Parts[i]), NativeTensor.Address(squares.Parts[i]));
            else if (weight.grad is { } gradient)
                Step(weight, gradient, means.Parts[i], squares.Parts[i], constants[i]);
        }
        new AdamWork(blocks, memory, constants).Run();
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

    /// <summary>One step of one weight with torch's operations.</summary>
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

/// <summary>The constants of an AdamW step, rounded to float32 where PyTorch rounds them.</summary>
/// <param name="Scale">Scale of the gradients: less than 1 if they are clipped.</param>
/// <param name="Decay">1 − rate · weight decay.</param>
/// <param name="Fraction">1 − beta1.</param>
/// <param name="Beta2">beta2.</param>
/// <param name="Rest">1 − beta2.</param>
/// <param name="Root">√(1 − beta2^step).</param>
/// <param name="Epsilon">The guard against division by zero.</param>
/// <param name="StepSize">−rate / (1 − beta1^step).</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct AdamConstants(
    float Scale, float Decay, float Fraction, float Beta2, float Rest, float Root, float Epsilon, float StepSize);

/// <summary>AdamW in one pass over memory that reads weight, gradient and both moments once and writes weight and
/// moments once.</summary>
/// <remarks>Each number goes through PyTorch's operations in the same order, each rounded to float32: <c>mul_</c> of
/// the decay, <c>lerp_</c>, <c>mul_</c> and <c>addcmul_</c> (both with a fused multiply-add, as in torch's vector
/// code), <c>sqrt</c>, <c>div_</c>, <c>add_</c>, <c>addcdiv_</c>. One thing differs: the square root is rounded
/// correctly, while torch uses a library that is wrong in the last bit for one number in five. All vector widths give
/// the same bytes.</remarks>
internal static unsafe class AdamKernel
{
    /// <summary>Takes a step.</summary>
    /// <param name="weight">The weight; changed.</param>
    /// <param name="gradient">The gradient; only read.</param>
    /// <param name="mean">The mean gradient; changed.</param>
    /// <param name="square">The mean squared gradient; changed.</param>
    /// <param name="count">Number of elements of each.</param>
    /// <param name="step">The step's constants.</param>
    public static void Update(
        float* weight, float* gradient, float* mean, float* square, int count, in AdamConstants step)
    {
        int done = 0;
        if (Vector512.IsHardwareAccelerated) done = Wide(weight, gradient, mean, square, count, step);
        else if (Vector256.IsHardwareAccelerated) done = Narrow(weight, gradient, mean, square, count, step);
        Scalar(weight + done, gradient + done, mean + done, square + done, count - done, step);
    }

    /// <summary>Sixteen numbers at a time.</summary>
    /// <returns>The number of elements processed.</returns>
    public static int Wide(float* weight, float* gradient, float* mean, float* square, int count, in AdamConstants step)
    {
        Vector512<float> scale = Vector512.Create(step.Scale), decay = Vector512.Create(step.Decay),
            beta2 = Vector512.Create(step.Beta2),
            rest = Vector512.Create(step.Rest), root = Vector512.Create(step.Root),
            epsilon = Vector512.Create(step.Epsilon), size = Vector512.Create(step.StepSize);
        bool small = IsSmall(step);
        Vector512<float> coefficient = Vector512.Create(Coefficient(step));
        int i = 0;
        for (; i <= count - Vector512<float>.Count; i += Vector512<float>.Count)
        {
            Vector512<float> g = Vector512.Load(gradient + i) * scale, m = Vector512.Load(mean + i);
            m = Vector512.FusedMultiplyAdd(coefficient, g - m, small ? m : g);
            Vector512<float> v = Vector512.FusedMultiplyAdd(rest * g, g, Vector512.Load(square + i) * beta2);
            Vector512<float> denominator = Vector512.Sqrt(v) / root + epsilon;
            m.Store(mean + i);
            v.Store(square + i);
            (Vector512.Load(weight + i) * decay + size * m / denominator).Store(weight + i);
        }
        return i;
    }

    /// <summary>Eight numbers at a time.</summary>
    /// <returns>The number of elements processed.</returns>
    public static int Narrow(
        float* weight, float* gradient, float* mean, float* square, int count, in AdamConstants step)
    {
        Vector256<float> scale = Vector256.Create(step.Scale), decay = Vector256.Create(step.Decay),
            beta2 = Vector256.Create(step.Beta2),
            rest = Vector256.Create(step.Rest), root = Vector256.Create(step.Root),
            epsilon = Vector256.Create(step.Epsilon), size = Vector256.Create(step.StepSize);
        bool small = IsSmall(step);
        Vector256<float> coefficient = Vector256.Create(Coefficient(step));
        int i = 0;
        for (; i <= count - Vector256<float>.Count; i += Vector256<float>.Count)
        {
            Vector256<float> g = Vector256.Load(gradient + i) * scale, m = Vector256.Load(mean + i);
            m = Vector256.FusedMultiplyAdd(coefficient, g - m, small ? m : g);
            Vector256<float> v = Vector256.FusedMultiplyAdd(rest * g, g, Vector256.Load(square + i) * beta2);
            Vector256<float> denominator = Vector256.Sqrt(v) / root + epsilon;
            m.Store(mean + i);
            v.Store(square + i);
            (Vector256.Load(weight + i) * decay + size * m / denominator).Store(weight + i);
        }
        return i;
    }

    /// <summary>One number at a time.</summary>
    public static void Scalar(
        float* weight, float* gradient, float* mean, float* square, int count, in AdamConstants step)
    {
        bool small = IsSmall(step);
        float coefficient = Coefficient(step);
        for (int i = 0; i < count; i++)
        {
            float g = gradient[i] * step.Scale;
            mean[i] = MathF.FusedMultiplyAdd(coefficient, g - mean[i], small ? mean[i] : g);
            square[i] = MathF.FusedMultiplyAdd(step.Rest * g, g, square[i] * step.Beta2);
            weight[i] = weight[i] * step.Decay
                + step.StepSize * mean[i] / (MathF.Sqrt(square[i]) / step.Root + step.Epsilon);
        }
    }

    // lerp_ interpolates from the nearer end, which is exact at both.
    private static bool IsSmall(in AdamConstants step) => step.Fraction < 0.5f;

    private static float Coefficient(in AdamConstants step) => IsSmall(step) ? step.Fraction : step.Fraction - 1;
}

/// <summary>The addresses of a weight and its AdamW state.</summary>
/// <param name="Weight">The address of the weight.</param>
/// <param name="Gradient">The address of its gradient; 0 without one.</param>
/// <param name="Mean">The address of the mean gradient.</param>
/// <param name="Square">The address of the mean squared gradient.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct AdamMemory(nint Weight, nint Gradient, nint Mean, nint Square);

/// <summary>An AdamW step over weights in memory, in blocks.</summary>
/// <param name="blocks">The weights, split into blocks.</param>
/// <param name="memory">For each weight the addresses of it, its gradient and its moments; without a gradient it is not
/// changed.</param>
/// <param name="constants">The step's constants for each weight.</param>
internal sealed unsafe class AdamWork(WeightBlocks blocks, AdamMemory[] memory, AdamConstants[] constants)
{
    /// <summary>Processes all blocks on torch's threads.</summary>
    public void Run() => Workers.Run(blocks.Count, Do);

    private void Do(int block)
    {
        (int tensor, long start, int count) = blocks[block];
        AdamMemory at = memory[tensor];
        if (at.Gradient == 0) return;
        AdamKernel.Update((float*)at.Weight + start, (float*)at.Gradient + start, (float*)at.Mean + start,
            (float*)at.Square + start, count, constants[tensor]);
    }
}

/// <summary>Tensors split into blocks that fit into a core's cache, so cores share the work evenly.</summary>
internal sealed class WeightBlocks
{
    /// <summary>Number of elements per block: 256 KB with weight, gradient and two moments.</summary>
    public const int Size = 16384;

    private readonly (int Tensor, long Start, int Count)[] blocks;

    /// <summary>Splits tensors.</summary>
    public WeightBlocks(IReadOnlyList<Tensor> tensors)
    {
        var cut = new List<(int, long, int)>();
        for (int i = 0; i < tensors.Count; i++)
            for (long start = 0, numbers = tensors[i].numel(); start < numbers; start += Size)
                cut.Add((i, start, (int)Math.Min(Size, numbers - start)));
        blocks = [.. cut];
    }

    /// <summary>The number of blocks.</summary>
    public int Count => blocks.Length;

    /// <summary>A block: the index of its tensor, its first element, and its length.</summary>
    public (int Tensor, long Start, int Count) this[int block] => blocks[block];
}
