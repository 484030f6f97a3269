using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using LowRank.Kernels.Native;
using static TorchSharp.torch;

namespace LowRank.Kernels;

/// <summary>Steps of AdamW (arXiv 1711.05101), operation for operation as PyTorch computes them.</summary>
internal sealed class AdamStep
{
    private readonly IReadOnlyList<Tensor> weights;
    private readonly IReadOnlyList<Tensor> means;
    private readonly IReadOnlyList<Tensor> squares;
    private readonly WeightBlocks blocks;
    private readonly AdamMemory[] memory;
    private readonly bool[] isFlat; // contiguous in the processor's memory

    /// <summary>Prepares steps of some weights.</summary>
    /// <param name="weights">The weights.</param>
    /// <param name="means">The mean gradient of each weight, of its shape.</param>
    /// <param name="squares">The mean squared gradient of each weight, of its shape.</param>
    public AdamStep(IReadOnlyList<Tensor> weights, IReadOnlyList<Tensor> means, IReadOnlyList<Tensor> squares)
    {
        (this.weights, this.means, this.squares) = (weights, means, squares);
        (blocks, memory) = (new WeightBlocks(weights), new AdamMemory[weights.Count]);
        // A weight that occurs twice takes its steps one after the other.
        HashSet<Tensor> twice =
            new(weights.GroupBy(weight => weight, (IEqualityComparer<Tensor>)ReferenceEqualityComparer.Instance)
            .Where(same => same.Count() > 1).Select(same => same.Key), ReferenceEqualityComparer.Instance);
        isFlat = [.. weights.Select(weight => NativeTensor.IsPlain(weight) && !twice.Contains(weight))];
    }

    /// <summary>Takes a step with the weights' gradients; a weight without a gradient is not changed.</summary>
    /// <param name="constants">The step's constants for each weight.</param>
    public void Take(AdamConstants[] constants)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        for (int i = 0; i < memory.Length; i++)
        {
            bool isFast = isFlat[i] && !KernelForm.IsPlain;
            memory[i] = !isFast ? default : new AdamMemory(
                NativeTensor.Address(weights[i]), NativeTensor.GradientAddress(weights[i]),
                NativeTensor.Address(means[i]), NativeTensor.Address(squares[i]));
            if (!isFast && weights[i].grad is { } gradient)
                Plain(weights[i], gradient, means[i], squares[i], constants[i]);
        }
        Fast(blocks, memory, constants);
    }

    /// <summary>One step of one weight with torch's operations. Changes every tensor except the gradient.</summary>
    /// <param name="weight">The weight.</param>
    /// <param name="gradient">Its gradient, same shape as the weight.</param>
    /// <param name="mean">The mean gradient, same shape as the weight.</param>
    /// <param name="square">The mean squared gradient, same shape as the weight.</param>
    /// <param name="step">The step's constants.</param>
    public static void Plain(Tensor weight, Tensor gradient, Tensor mean, Tensor square, in AdamConstants step)
    {
        if (step.Scale != 1) gradient = gradient.mul(Number(step.Scale));
        if (step.Decay != 1) weight.mul_(Number(step.Decay));
        mean.lerp_(gradient, full([], Number(step.Fraction), ScalarType.Float32, weight.device));
        square.mul_(Number(step.Beta2)).addcmul_(gradient, gradient, Number(step.Rest));
        Tensor denominator = square.sqrt().div_(Number(step.Root)).add_(Number(step.Epsilon), Number(1));
        weight.addcdiv_(mean, denominator, Number(step.StepSize));
    }

    /// <summary>One step of weights in the processor's memory, in one pass on torch's threads.</summary>
    /// <param name="blocks">The weights, split into blocks.</param>
    /// <param name="memory">The addresses of each weight, its gradient and its moments; a weight without a gradient is
    /// not changed.</param>
    /// <param name="constants">The step's constants for each weight.</param>
    public static unsafe void Fast(WeightBlocks blocks, AdamMemory[] memory, AdamConstants[] constants) =>
        Workers.Run(blocks.Count, block =>
        {
            (int tensor, long start, int count) = blocks[block];
            AdamMemory at = memory[tensor];
            if (at.Gradient == 0) return;
            AdamKernel.Update((float*)at.Weight + start, (float*)at.Gradient + start, (float*)at.Mean + start,
                (float*)at.Square + start, count, constants[tensor]);
        });
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
/// <remarks>Each element goes through PyTorch's operations in the same order, each rounded to float32: <c>mul_</c> of
/// the decay, <c>lerp_</c>, <c>mul_</c> and <c>addcmul_</c> (both with a fused multiply-add, as in torch's vector
/// code), <c>sqrt</c>, <c>div_</c>, <c>add_</c>, <c>addcdiv_</c>. One thing differs: the square root is rounded
/// correctly, while torch uses a library that is wrong in the last bit for one value in five. All vector widths give
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
        int done = Vector512.IsHardwareAccelerated
            ? Vectors<Wide512, Vector512<float>>(weight, gradient, mean, square, count, step)
            : Vector256.IsHardwareAccelerated
            ? Vectors<Wide256, Vector256<float>>(weight, gradient, mean, square, count, step) : 0;
        Scalar(weight + done, gradient + done, mean + done, square + done, count - done, step);
    }

    /// <summary>A vector of elements at a time.</summary>
    /// <returns>The number of elements processed.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static int Vectors<TWide, TVector>(
        float* weight, float* gradient, float* mean, float* square, int count, in AdamConstants step)
        where TWide : struct, IWide<TVector>
        where TVector : struct
    {
        TVector scale = TWide.Broadcast(step.Scale), decay = TWide.Broadcast(step.Decay),
            beta2 = TWide.Broadcast(step.Beta2), rest = TWide.Broadcast(step.Rest), root = TWide.Broadcast(step.Root),
            epsilon = TWide.Broadcast(step.Epsilon), size = TWide.Broadcast(step.StepSize),
            coefficient = TWide.Broadcast(Coefficient(step));
        bool small = IsSmall(step);
        int i = 0;
        for (; i <= count - TWide.Count; i += TWide.Count)
        {
            TVector g = TWide.Multiply(TWide.Load(gradient + i), scale), m = TWide.Load(mean + i);
            m = TWide.FusedMultiplyAdd(coefficient, TWide.Subtract(g, m), small ? m : g);
            TVector v = TWide.FusedMultiplyAdd(
                TWide.Multiply(rest, g), g, TWide.Multiply(TWide.Load(square + i), beta2));
            TVector denominator = TWide.Add(TWide.Divide(TWide.Sqrt(v), root), epsilon);
            TWide.Store(mean + i, m);
            TWide.Store(square + i, v);
            TWide.Store(weight + i, TWide.Add(TWide.Multiply(TWide.Load(weight + i), decay),
                TWide.Divide(TWide.Multiply(size, m), denominator)));
        }
        return i;
    }

    /// <summary>One element at a time.</summary>
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
