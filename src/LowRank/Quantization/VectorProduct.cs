using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace LowRank.Quantization;

/// <summary>Sums of products of float32 values.</summary>
internal static unsafe class VectorProduct
{
    /// <summary>The sum over 64 values.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Of64(float* a, float* b)
    {
        if (Vector512.IsHardwareAccelerated)
        {
            Vector512<float> sum = Vector512.Load(a) * Vector512.Load(b);
            sum = Vector512.FusedMultiplyAdd(Vector512.Load(a + 16), Vector512.Load(b + 16), sum);
            sum = Vector512.FusedMultiplyAdd(Vector512.Load(a + 32), Vector512.Load(b + 32), sum);
            return Vector512.Sum(Vector512.FusedMultiplyAdd(Vector512.Load(a + 48), Vector512.Load(b + 48), sum));
        }
        Vector256<float> even = Vector256.Load(a) * Vector256.Load(b), odd = Vector256.Load(a + 8) * Vector256.Load(b + 8);
        for (int i = 16; i < 64; i += 16)
        {
            even = Vector256.MultiplyAddEstimate(Vector256.Load(a + i), Vector256.Load(b + i), even);
            odd = Vector256.MultiplyAddEstimate(Vector256.Load(a + i + 8), Vector256.Load(b + i + 8), odd);
        }
        return Vector256.Sum(even + odd);
    }
}
