using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using LowRank.Kernels.Native;
using static TorchSharp.torch;

namespace LowRank.Kernels;

/// <summary>Rotary position embedding (arXiv 2104.09864): rotates queries and keys by the angles of their
/// positions.</summary>
internal static unsafe class Rotary
{
    /// <summary>Rotates the pairs (i, i + dimension / 2) of each head by their angles.</summary>
    /// <param name="heads">[batch, heads, sequence, width]; values beyond the rotated dimension are unchanged.</param>
    /// <param name="cosine">[batch or 1, 1, sequence, dimension / 2]</param>
    /// <param name="sine">Same shape as <paramref name="cosine"/>.</param>
    /// <returns>Same shape as the heads, in the caller's dispose scope.</returns>
    public static Tensor Rotate(Tensor heads, Tensor cosine, Tensor sine)
    {
        if (!KernelForm.IsPlain && TryRotate(heads, cosine, sine) is { } fast) return fast;
        long half = cosine.shape[^1], rest = heads.shape[^1] - 2 * half;
        Tensor first = heads.narrow(-1, 0, half), second = heads.narrow(-1, half, half);
        Tensor[] rotated = [first * cosine - second * sine, second * cosine + first * sine];
        return cat(rest == 0 ? rotated : [.. rotated, heads.narrow(-1, 2 * half, rest)], -1);
    }

    /// <summary>The same for few positions in one pass, with the same operations; null with gradients, many positions,
    /// other devices or types.</summary>
    /// <param name="heads">[batch, heads, sequence, width], with a contiguous last axis.</param>
    /// <param name="cosine">[batch or 1, 1, sequence, half of the rotated width].</param>
    /// <param name="sine">Same shape as <paramref name="cosine"/>.</param>
    public static Tensor? TryRotate(Tensor heads, Tensor cosine, Tensor sine)
    {
        if (!KernelTensors.Fit(heads, strided: true) || !KernelTensors.Fit(cosine) || !KernelTensors.Fit(sine))
            return null;
        long[] shape = heads.shape, stride = heads.stride(), angles = cosine.shape;
        if (shape.Length != 4 || shape[0] * shape[2] > LinearProduct.StreamedRows || stride[3] != 1) return null;
        if (!angles.SequenceEqual(sine.shape) || angles.Length != 4 || (angles[0] != 1 && angles[0] != shape[0])
            || angles[1] != 1
            || angles[2] != shape[2] || 2 * angles[3] > shape[3]) return null; // torch reports the error
        Tensor rotated = empty(shape);
        float* from = (float*)NativeTensor.Address(heads), to = (float*)NativeTensor.Address(rotated);
        float* cosines = (float*)NativeTensor.Address(cosine), sines = (float*)NativeTensor.Address(sine);
        int half = (int)angles[3], width = (int)shape[3];
        for (long row = 0; row < shape[0]; row++)
            for (long head = 0; head < shape[1]; head++)
                for (long position = 0; position < shape[2]; position++, to += width)
                {
                    long angle = ((angles[0] == 1 ? 0 : row) * shape[2] + position) * half;
                    float* source = from + row * stride[0] + head * stride[1] + position * stride[2];
                    if (Vector512.IsHardwareAccelerated)
                        RotatePairs<Wide512, Vector512<float>>(source, to, cosines + angle, sines + angle, half);
                    else RotatePairs<Wide256, Vector256<float>>(source, to, cosines + angle, sines + angle, half);
                    for (int i = 2 * half; i < width; i++) to[i] = source[i];
                }
        return rotated;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void RotatePairs<TWide, TVector>(float* from, float* to, float* cosine, float* sine, int half)
        where TWide : struct, IWide<TVector>
        where TVector : struct
    {
        int i = 0;
        for (; i + TWide.Count <= half; i += TWide.Count)
        {
            TVector first = TWide.Load(from + i), second = TWide.Load(from + half + i), c = TWide.Load(cosine + i),
                s = TWide.Load(sine + i);
            TWide.Store(to + i, TWide.Subtract(TWide.Multiply(first, c), TWide.Multiply(second, s)));
            TWide.Store(to + half + i, TWide.Add(TWide.Multiply(second, c), TWide.Multiply(first, s)));
        }
        for (; i < half; i++)
        {
            float first = from[i], second = from[half + i];
            to[i] = first * cosine[i] - second * sine[i];
            to[half + i] = second * cosine[i] + first * sine[i];
        }
    }
}
