using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace LowRank.Quantization;

/// <summary>Turns packed codes into levels: 32 bytes to 64 values, the high half of each byte first.</summary>
internal static unsafe class Nf4Kernel
{
    private static readonly float* Table = Pinned(Nf4.Table);

    /// <summary>A whole number of 64 codes as scaled float32 values.</summary>
    /// <param name="packed">32 bytes.</param>
    /// <param name="scale">What the levels are multiplied with.</param>
    /// <param name="target">64 values.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Expand64(byte* packed, float scale, float* target)
    {
        if (Avx512F.IsSupported) Expand512(packed, Vector512.Create(scale), target);
        else if (Avx2.IsSupported) Expand256(packed, Vector256.Create(scale), target);
        else ExpandAny(packed, 64, scale, target);
    }

    /// <summary>Any even number of codes, one after the other.</summary>
    public static void ExpandAny(byte* packed, int count, float scale, float* target)
    {
        for (int i = 0; i < count; i += 2)
        {
            byte both = packed[i / 2];
            target[i] = Table[both >> 4] * scale;
            target[i + 1] = Table[both & 15] * scale;
        }
    }

    /// <summary>One code.</summary>
    public static float Level(byte* packed, long index) => Table[(index & 1) == 0 ? packed[index / 2] >> 4 : packed[index / 2] & 15];

    internal static void Expand512(byte* packed, Vector512<float> scale, float* target)
    {
        Vector512<float> table = Vector512.Load(Table);
        (Vector256<byte> even, Vector256<byte> odd) = Codes(packed);
        Store(even.GetLower(), 0);
        Store(odd.GetLower(), 16);
        Store(even.GetUpper(), 32);
        Store(odd.GetUpper(), 48);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        void Store(Vector128<byte> codes, int at) =>
            (Avx512F.PermuteVar16x32(table, Avx512F.ConvertToVector512Int32(codes)) * scale).Store(target + at);
    }

    internal static void Expand256(byte* packed, Vector256<float> scale, float* target)
    {
        Vector256<float> low = Vector256.Load(Table), high = Vector256.Load(Table + 8);
        (Vector256<byte> even, Vector256<byte> odd) = Codes(packed);
        Store(even.GetLower(), 0);
        Store(odd.GetLower(), 16);
        Store(even.GetUpper(), 32);
        Store(odd.GetUpper(), 48);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        void Store(Vector128<byte> codes, int at)
        {
            Half(Avx2.ConvertToVector256Int32(codes), at);
            Half(Avx2.ConvertToVector256Int32(Sse2.ShiftRightLogical128BitLane(codes, 8)), at + 8);
        }

        // The lowest three bits choose in a half of the table, the fourth chooses the half.
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        void Half(Vector256<int> codes, int at)
        {
            Vector256<float> isHigh = (codes << 28).AsSingle();
            (Avx.BlendVariable(Avx2.PermuteVar8x32(low, codes), Avx2.PermuteVar8x32(high, codes), isHigh) * scale).Store(target + at);
        }
    }

    // Codes 0–15 and 32–47 in the first, 16–31 and 48–63 in the second: AVX2 interleaves each half of a register by itself.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (Vector256<byte> Even, Vector256<byte> Odd) Codes(byte* packed)
    {
        Vector256<byte> both = Vector256.Load(packed), mask = Vector256.Create((byte)15);
        Vector256<byte> first = (both.AsUInt16() >>> 4).AsByte() & mask, second = both & mask;
        return (Avx2.UnpackLow(first, second), Avx2.UnpackHigh(first, second));
    }

    private static float* Pinned(float[] values)
    {
        var memory = (float*)NativeMemory.AlignedAlloc((nuint)values.Length * sizeof(float), 64); // for the life of the process
        values.CopyTo(new Span<float>(memory, values.Length));
        return memory;
    }
}
