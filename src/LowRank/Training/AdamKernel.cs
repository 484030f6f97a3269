using System.Runtime.Intrinsics;

namespace LowRank.Training;

/// <summary>AdamW over memory: one pass that reads weight, gradient and both moments once and writes weight and moments once.</summary>
/// <remarks>Each number goes through PyTorch's operations in their order, each rounded to float32: <c>mul_</c> of the decay, <c>lerp_</c>,
/// <c>mul_</c> and <c>addcmul_</c> (a fused multiply-add in both, as torch's vector code has it), <c>sqrt</c>, <c>div_</c>, <c>add_</c>,
/// <c>addcdiv_</c>. One thing differs: the root is rounded correctly, where torch takes it from a library that errs in the last bit of
/// one number in five. The vector widths give the same bytes.</remarks>
internal static unsafe class AdamKernel
{
    /// <summary>A step.</summary>
    /// <param name="weight">Changed.</param>
    /// <param name="gradient">Read alone.</param>
    /// <param name="mean">Changed.</param>
    /// <param name="square">Changed.</param>
    /// <param name="count">Numbers of each.</param>
    /// <param name="step">The step's numbers.</param>
    public static void Update(float* weight, float* gradient, float* mean, float* square, int count, in AdamConstants step)
    {
        int done = 0;
        if (Vector512.IsHardwareAccelerated) done = Wide(weight, gradient, mean, square, count, step);
        else if (Vector256.IsHardwareAccelerated) done = Narrow(weight, gradient, mean, square, count, step);
        Scalar(weight + done, gradient + done, mean + done, square + done, count - done, step);
    }

    /// <summary>Sixteen numbers at a time.</summary>
    /// <returns>How many were done.</returns>
    public static int Wide(float* weight, float* gradient, float* mean, float* square, int count, in AdamConstants step)
    {
        Vector512<float> scale = Vector512.Create(step.Scale), decay = Vector512.Create(step.Decay), beta2 = Vector512.Create(step.Beta2),
            rest = Vector512.Create(step.Rest), root = Vector512.Create(step.Root), epsilon = Vector512.Create(step.Epsilon), size = Vector512.Create(step.StepSize);
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
    /// <returns>How many were done.</returns>
    public static int Narrow(float* weight, float* gradient, float* mean, float* square, int count, in AdamConstants step)
    {
        Vector256<float> scale = Vector256.Create(step.Scale), decay = Vector256.Create(step.Decay), beta2 = Vector256.Create(step.Beta2),
            rest = Vector256.Create(step.Rest), root = Vector256.Create(step.Root), epsilon = Vector256.Create(step.Epsilon), size = Vector256.Create(step.StepSize);
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
    public static void Scalar(float* weight, float* gradient, float* mean, float* square, int count, in AdamConstants step)
    {
        bool small = IsSmall(step);
        float coefficient = Coefficient(step);
        for (int i = 0; i < count; i++)
        {
            float g = gradient[i] * step.Scale;
            mean[i] = MathF.FusedMultiplyAdd(coefficient, g - mean[i], small ? mean[i] : g);
            square[i] = MathF.FusedMultiplyAdd(step.Rest * g, g, square[i] * step.Beta2);
            weight[i] = weight[i] * step.Decay + step.StepSize * mean[i] / (MathF.Sqrt(square[i]) / step.Root + step.Epsilon);
        }
    }

    // lerp_ counts from the nearer end, which is exact at both.
    private static bool IsSmall(in AdamConstants step) => step.Fraction < 0.5f;

    private static float Coefficient(in AdamConstants step) => IsSmall(step) ? step.Fraction : step.Fraction - 1;
}
