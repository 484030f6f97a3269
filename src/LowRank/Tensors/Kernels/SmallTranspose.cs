using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace LowRank.Tensors.Kernels;

/// <summary>Small squares of numbers whose rows become columns.</summary>
internal static unsafe class SmallTranspose
{
    /// <summary>A square of 8 with AVX: pairs, then fours, then halves of registers change places.</summary>
    /// <param name="rows">The rows.</param>
    /// <param name="stride">From one of them to the next.</param>
    /// <param name="target">Receives the columns as rows.</param>
    /// <param name="targetStride">From one of those to the next.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Eight(float* rows, long stride, float* target, long targetStride)
    {
        Vector256<float>* t = stackalloc Vector256<float>[8];
        for (int i = 0; i < 8; i += 2)
        {
            Vector256<float> first = Vector256.Load(rows + i * stride), second = Vector256.Load(rows + (i + 1) * stride);
            (t[i], t[i + 1]) = (Avx.UnpackLow(first, second), Avx.UnpackHigh(first, second));
        }
        for (int i = 0; i < 2; i++)
        {
            Vector256<double> a = t[i].AsDouble(), b = t[i + 2].AsDouble(), c = t[i + 4].AsDouble(), d = t[i + 6].AsDouble();
            Vector256<float> low = Avx.UnpackLow(a, b).AsSingle(), lowAfter = Avx.UnpackLow(c, d).AsSingle();
            Vector256<float> high = Avx.UnpackHigh(a, b).AsSingle(), highAfter = Avx.UnpackHigh(c, d).AsSingle();
            float* to = target + 2 * i * targetStride;
            Avx.Permute2x128(low, lowAfter, 0x20).Store(to);
            Avx.Permute2x128(high, highAfter, 0x20).Store(to + targetStride);
            Avx.Permute2x128(low, lowAfter, 0x31).Store(to + 4 * targetStride);
            Avx.Permute2x128(high, highAfter, 0x31).Store(to + 5 * targetStride);
        }
    }

    /// <summary>A square of any size, number by number.</summary>
    /// <param name="rows">The rows.</param>
    /// <param name="stride">From one of them to the next.</param>
    /// <param name="target">Receives the columns as rows.</param>
    /// <param name="targetStride">From one of those to the next.</param>
    /// <param name="size">Rows and columns.</param>
    public static void Plain(float* rows, long stride, float* target, long targetStride, int size)
    {
        for (int i = 0; i < size; i++)
            for (int j = 0; j < size; j++) target[j * targetStride + i] = rows[i * stride + j];
    }
}
