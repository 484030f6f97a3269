using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using static TorchSharp.torch;

namespace LowRank.Kernels;

/// <summary>A step of AdamW (arXiv 1711.05101), operation for operation as PyTorch computes it.</summary>
internal static class AdamStep
{
    /// <summary>One step of one weight with torch's operations. Changes every tensor except the gradient.</summary>
    /// <param name="weight">The weight.</param>
    /// <param name="gradient">Its gradient, same shape as the weight.</param>
    /// <param name="mean">The mean gradient, same shape as the weight.</param>
    /// <param name="square">The mean squared gradient, same shape as the weight.</param>
    /// <param name="step">The step's constants.</param>
    public static void Plain(Tensor weight, Tensor gradient, Tensor mean, Tensor square, in AdamConstants step)
    {
        if (step.Scale != 1) gradient = gradient.mul(step.Scale);
        if (step.Decay != 1) weight.mul_(step.Decay);
        mean.lerp_(gradient, full([], step.Fraction, ScalarType.Float32, weight.device));
        square.mul_(step.Beta2).addcmul_(gradient, gradient, step.Rest);
        Tensor denominator = square.sqrt().div_(step.Root).add_(step.Epsilon);
        weight.addcdiv_(mean, denominator, step.StepSize);
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
        int done = 0;
        if (Vector512.IsHardwareAccelerated) done = Wide(weight, gradient, mean, square, count, step);
        else if (Vector256.IsHardwareAccelerated) done = Narrow(weight, gradient, mean, square, count, step);
        Scalar(weight + done, gradient + done, mean + done, square + done, count - done, step);
    }

    /// <summary>Sixteen elements at a time.</summary>
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

    /// <summary>Eight elements at a time.</summary>
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
