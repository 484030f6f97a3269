using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using LowRank.Tensors.Native;
using static TorchSharp.torch;

namespace LowRank.Tensors.Kernels;

/// <summary>Root mean square normalisation of few rows in one pass: (offset + w) · x / √(mean(x²) + ε).</summary>
internal static unsafe class RowScaling
{
    private const int MostNumbers = 65536; // more are shared out among threads by torch

    /// <summary>The normalised rows, or null where torch must compute them: for gradients, many rows, other devices or types.</summary>
    /// <param name="input">x, […, width].</param>
    /// <param name="weight">w, [width].</param>
    /// <param name="epsilon">ε.</param>
    /// <param name="offset">What is added to the weight.</param>
    public static Tensor? TryNormalize(Tensor input, Tensor weight, double epsilon, double offset)
    {
        if (!KernelTensors.Fit(input) || !KernelTensors.Fit(weight)) return null;
        long[] shape = input.shape;
        long rows = KernelTensors.Rows(shape);
        if (rows < 1) return null;
        int width = (int)shape[^1];
        if (rows * width > MostNumbers || weight.numel() != width) return null;
        Tensor output = empty(shape);
        float* from = (float*)NativeTensor.Address(input), to = (float*)NativeTensor.Address(output), factor = (float*)NativeTensor.Address(weight);
        for (long row = 0; row < rows; row++, from += width, to += width)
        {
            if (Vector512.IsHardwareAccelerated) Normalize<Wide512, Vector512<float>>(from, to, factor, width, epsilon, (float)offset);
            else Normalize<Wide256, Vector256<float>>(from, to, factor, width, epsilon, (float)offset);
        }
        return output;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Normalize<TWide, TVector>(float* from, float* to, float* weight, int width, double epsilon, float offset)
        where TWide : struct, IWide<TVector>
        where TVector : struct
    {
        TVector squares = default;
        int i = 0;
        for (; i + TWide.Count <= width; i += TWide.Count)
        {
            TVector x = TWide.Load(from + i);
            squares = TWide.MultiplyAdd(x, x, squares);
        }
        float sum = TWide.Sum(squares);
        for (; i < width; i++) sum += from[i] * from[i];
        float scale = (float)(1 / Math.Sqrt(sum / width + epsilon));
        TVector by = TWide.Broadcast(scale), added = TWide.Broadcast(offset);
        for (i = 0; i + TWide.Count <= width; i += TWide.Count)
            TWide.Store(to + i, TWide.Multiply(TWide.Add(TWide.Load(weight + i), added), TWide.Multiply(TWide.Load(from + i), by)));
        for (; i < width; i++) to[i] = (weight[i] + offset) * (from[i] * scale);
    }
}
