using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using LowRank.Kernels;
using LowRank.Kernels.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Quantization;

/// <summary>The 4-bit normal float with double quantisation (QLoRA, arXiv 2305.14314, section 3), as defined by
/// bitsandbytes: blocks of 64 values, where each value is the nearest of 16 levels times the block's largest absolute
/// value. These absolute values, minus their mean, are stored in the dynamic 8-bit type in blocks of 256.</summary>
/// <remarks>0.516 bytes per weight. Follows bitsandbytes' own CPU kernel: values are multiplied by the reciprocal of
/// the block's largest absolute value, or divided by it in an incomplete last block; a value halfway between two levels
/// takes the lower one. The mean is computed in float64, so that it is the same on every machine; bitsandbytes' may
/// differ in the last bit.</remarks>
internal static unsafe class Nf4
{
    /// <summary>Number of values that share a scale.</summary>
    public const int BlockSize = 64;

    /// <summary>Number of scales that share a scale of their own.</summary>
    public const int NestedBlockSize = 256;

    // The value that bitsandbytes gets for a block of zeros from a division by zero.
    private const float Tiny = 1e-38f;

    /// <summary>The 16 levels, ascending; a code is an index into them.</summary>
    public static IReadOnlyList<float> Levels => Table;

    internal static readonly float[] Table =
    [
        -1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f,
            -0.18477343022823334f,
        -0.09105003625154495f, 0.0f, 0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f,
            0.33791524171829224f,
        0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f,
    ];

    private static readonly float[] Bounds = [.. Table.Zip(Table.Skip(1), (below, above) => (below + above) / 2)];

    /// <summary>The result of quantising and expanding a matrix.</summary>
    /// <param name="matrix">[out, in], of any floating-point type.</param>
    /// <returns>float32 of the same shape, in the caller's dispose scope.</returns>
    /// <exception cref="InputException">A value is not finite.</exception>
    public static Tensor RoundTrip(Tensor matrix)
    {
        using var scope = NewDisposeScope();
        using var buffer = new ExpansionBuffer();
        using var packed = new PackedWeight(Quantize(matrix), buffer);
        return packed.Expand().MoveToOuterDisposeScope();
    }

    /// <summary>Quantises a matrix.</summary>
    internal static Nf4Matrix Quantize(Tensor matrix)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        Tensor wide = matrix.detach().cpu().to(ScalarType.Float32).contiguous();
        long count = wide.numel(), blocks = (count + BlockSize - 1) / BlockSize;
        Tensor codes = empty([(count + 1) / 2, 1], ScalarType.Byte), scales = empty(blocks);
        nint values = NativeTensor.Address(wide), packed = NativeTensor.Address(codes),
            largest = NativeTensor.Address(scales);
        ProcessorWork.Split(
            count, BlockSize, count, (first, length) =>
            Pack((float*)values, (byte*)packed, (float*)largest, first, first + length));
        RequireFinite((float*)largest, blocks);
        BlockScales nested = BlockScales.Quantize((float*)largest, blocks, BlockSize);
        return new Nf4Matrix(codes.DetachFromDisposeScope(), nested, matrix.shape[0], matrix.shape[1]);
    }

    private static void Pack(float* values, byte* packed, float* largest, long first, long end)
    {
        byte* codes = stackalloc byte[BlockSize];
        for (long at = first; at < end; at += BlockSize)
        {
            int length = (int)Math.Min(BlockSize, end - at);
            float most = Largest(new ReadOnlySpan<float>(values + at, length));
            bool isWhole = length == BlockSize;
            if (!isWhole && most < Tiny) most = Tiny;
            largest[at / BlockSize] = most;
            if (isWhole) NearestLevels(values + at, 1 / Math.Max(most, Tiny), codes);
            else Nearest(values + at, length, most, isWhole, Bounds, codes);
            if ((length & 1) == 1) codes[length] = Nearest(0, Bounds); // the filling of the last byte
            for (int i = 0; i < length; i += 2) packed[(at + i) / 2] = (byte)(codes[i] << 4 | codes[i + 1]);
        }
    }

    /// <summary>The level indices of a block's scaled values.</summary>
    /// <param name="values">The values.</param>
    /// <param name="length">Number of values.</param>
    /// <param name="most">The largest absolute value.</param>
    /// <param name="isWhole">Whether the block is complete: if so, values are multiplied by the reciprocal, otherwise
    /// divided.</param>
    /// <param name="bounds">The midpoints between the levels, ascending.</param>
    /// <param name="codes">Receives the indices.</param>
    internal static void Nearest(float* values, int length, float most, bool isWhole, float[] bounds, byte* codes)
    {
        float reciprocal = 1 / Math.Max(most, Tiny);
        for (int i = 0; i < length; i++)
        {
            float scaled = isWhole ? values[i] * reciprocal : values[i] / most;
            codes[i] = Nearest(Math.Clamp(scaled, -1, 1), bounds);
        }
    }

    // Like the other overload, for a complete block: counts the bounds below eight values at a time.
    private static void NearestLevels(float* values, float reciprocal, byte* codes)
    {
        int* counts = stackalloc int[Vector256<int>.Count];
        for (int at = 0; at < BlockSize; at += Vector256<float>.Count)
        {
            Vector256<float> scaled = Vector256.Load(values + at) * reciprocal;
            Vector256<int> count = Vector256<int>.Zero;
            // true is −1
            foreach (float bound in Bounds) count -= Vector256.LessThan(Vector256.Create(bound), scaled).AsInt32();
            count.Store(counts);
            for (int i = 0; i < Vector256<int>.Count; i++) codes[at + i] = (byte)counts[i];
        }
    }

    /// <summary>The largest absolute value; NaN if any value is NaN.</summary>
    internal static float Largest(ReadOnlySpan<float> values)
    {
        float most = 0;
        foreach (float value in values)
        {
            float size = Math.Abs(value);
            if (!(size <= most)) most = size;
            if (float.IsNaN(most)) return most;
        }
        return most;
    }

    /// <summary>Rejects scales of values that are not finite.</summary>
    internal static void RequireFinite(float* scales, long count)
    {
        for (long i = 0; i < count; i++)
            if (!float.IsFinite(scales[i]))
                throw new InputException(
                    "A value is not finite, so that its block has no scale. Check where the weights come from.");
    }

    // The number of bounds below the value.
    private static byte Nearest(float value, float[] bounds)
    {
        int low = 0, high = bounds.Length;
        while (low < high)
        {
            int middle = (low + high) >>> 1;
            if (bounds[middle] < value) low = middle + 1;
            else high = middle;
        }
        return (byte)low;
    }
}

/// <summary>Converts packed codes to levels: 32 bytes to 64 values, the high half of each byte first.</summary>
internal static unsafe class Nf4Kernel
{
    private const int LevelBytes = 16 * sizeof(float);

    private static float* Table => (float*)Tables;

    /// <summary>Converts 64 codes to scaled float32 values.</summary>
    /// <param name="packed">32 bytes.</param>
    /// <param name="scale">The factor of the levels.</param>
    /// <param name="target">64 values.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Expand64(byte* packed, float scale, float* target)
    {
        if (Avx512F.IsSupported) Expand512(packed, Vector512.Create(scale), target);
        else if (Avx2.IsSupported) Expand256(packed, Vector256.Create(scale), target);
        else ExpandAny(packed, 64, scale, target);
    }

    /// <summary>Converts any even number of codes, one after another.</summary>
    public static void ExpandAny(byte* packed, int count, float scale, float* target)
    {
        for (int i = 0; i < count; i += 2)
        {
            byte both = packed[i / 2];
            target[i] = Table[both >> 4] * scale;
            target[i + 1] = Table[both & 15] * scale;
        }
    }

    /// <summary>Converts one code.</summary>
    public static float Level(byte* packed, long index) =>
        Table[(index & 1) == 0 ? packed[index / 2] >> 4 : packed[index / 2] & 15];

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

        // The lowest three bits index into a half of the table; the fourth selects the half.
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        void Half(Vector256<int> codes, int at)
        {
            Vector256<float> isHigh = (codes << 28).AsSingle();
            (Avx.BlendVariable(Avx2.PermuteVar8x32(low, codes), Avx2.PermuteVar8x32(high, codes), isHigh) * scale)
                .Store(target + at);
        }
    }

    // Codes 0–15 and 32–47 in the first, 16–31 and 48–63 in the second: AVX2 interleaves each half of a register
    // separately.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (Vector256<byte> Even, Vector256<byte> Odd) Codes(byte* packed)
    {
        Vector256<byte> both = Vector256.Load(packed), mask = Vector256.Create((byte)15);
        Vector256<byte> first = (both.AsUInt16() >>> 4).AsByte() & mask, second = both & mask;
        return (Avx2.UnpackLow(first, second), Avx2.UnpackHigh(first, second));
    }

    /// <summary>The levels; then, four times 32 bytes, their lowest bytes, twice, and so on to their highest.</summary>
    public static byte* Tables { get; } = Places();

    /// <summary>Converts four vectors of 64 codes, in the order of <see cref="Arrange"/>.</summary>
    /// <param name="tables"><see cref="Tables"/>.</param>
    /// <param name="packed">32 bytes.</param>
    /// <param name="first">The place of the first of the four vectors among the 64 values.</param>
    /// <param name="a">The first vector.</param>
    /// <param name="b">The second.</param>
    /// <param name="c">The third.</param>
    /// <param name="d">The fourth.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Decode<TWide, TVector>(
        byte* tables, byte* packed, int first, out TVector a, out TVector b, out TVector c, out TVector d)
        where TWide : struct, IWide<TVector>
        where TVector : struct
    {
        if (typeof(TVector) == typeof(Vector512<float>) && Avx512F.IsSupported)
        {
            Decode512(tables, packed, out Vector512<float> even, out Vector512<float> odd);
            (a, b) = (Unsafe.BitCast<Vector512<float>, TVector>(even), Unsafe.BitCast<Vector512<float>, TVector>(odd));
            Decode512(tables, packed + 16, out even, out odd);
            (c, d) = (Unsafe.BitCast<Vector512<float>, TVector>(even), Unsafe.BitCast<Vector512<float>, TVector>(odd));
        }
        else if (typeof(TVector) == typeof(Vector256<float>) && Avx2.IsSupported)
        {
            Decode256(tables + LevelBytes, packed, first, out Vector256<float> v0, out Vector256<float> v1,
                out Vector256<float> v2, out Vector256<float> v3);
            (a, b) = (Unsafe.BitCast<Vector256<float>, TVector>(v0), Unsafe.BitCast<Vector256<float>, TVector>(v1));
            (c, d) = (Unsafe.BitCast<Vector256<float>, TVector>(v2), Unsafe.BitCast<Vector256<float>, TVector>(v3));
        }
        else
        {
            float* values = stackalloc float[64];
            ExpandAny(packed + first / 2, 4 * TWide.Count, 1, values);
            (a, b) = (TWide.Load(values), TWide.Load(values + TWide.Count));
            (c, d) = (TWide.Load(values + 2 * TWide.Count), TWide.Load(values + 3 * TWide.Count));
        }
    }

    /// <summary>Puts 64 values into the order in which <see cref="Decode{TWide, TVector}"/> gives a row's: those at
    /// even places before those at odd ones, of every 32 (AVX-512) or of all (AVX2, where four values of the lower and
    /// four of the upper half of the bytes make a vector).</summary>
    /// <param name="from">The values.</param>
    /// <param name="to">Receives them.</param>
    public static void Arrange(float* from, float* to)
    {
        bool isWide = Avx512F.IsSupported && Vector512.IsHardwareAccelerated;
        if (!isWide && !Avx2.IsSupported)
        {
            new ReadOnlySpan<float>(from, 64).CopyTo(new Span<float>(to, 64));
            return;
        }
        for (int i = 0; i < 8; i++)
        {
            Vector128<float> low = Vector128.Load(from + 8 * i), high = Vector128.Load(from + 8 * i + 4);
            (int half, int four) = Math.DivRem(i, 4);
            float* target = to + (isWide ? 32 * half + 4 * four : 8 * four + 4 * half);
            Sse.Shuffle(low, high, 0b10_00_10_00).Store(target);
            Sse.Shuffle(low, high, 0b11_01_11_01).Store(target + (isWide ? 16 : 32));
        }
    }

    // A permutation looks at the lowest four bits of an index.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Decode512(byte* tables, byte* packed, out Vector512<float> even, out Vector512<float> odd)
    {
        Vector512<float> table = Vector512.Load((float*)tables);
        Vector512<int> codes = Avx512F.ConvertToVector512Int32(Vector128.Load(packed));
        (even, odd) = (Avx512F.PermuteVar16x32(table, codes >>> 4), Avx512F.PermuteVar16x32(table, codes));
    }

    // Four tables give the four bytes of each level, which are then joined.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Decode256(byte* places, byte* packed, int first, out Vector256<float> a, out Vector256<float> b,
        out Vector256<float> c, out Vector256<float> d)
    {
        Vector256<byte> both = Vector256.Load(packed);
        Vector256<byte> codes = (first == 0 ? (both.AsUInt16() >>> 4).AsByte() : both) & Vector256.Create((byte)15);
        Vector256<byte> b0 = Avx2.Shuffle(Vector256.Load(places), codes),
            b1 = Avx2.Shuffle(Vector256.Load(places + 32), codes),
            b2 = Avx2.Shuffle(Vector256.Load(places + 64), codes),
            b3 = Avx2.Shuffle(Vector256.Load(places + 96), codes);
        Vector256<short> low = Avx2.UnpackLow(b0, b1).AsInt16(), lowUpper = Avx2.UnpackLow(b2, b3).AsInt16();
        Vector256<short> high = Avx2.UnpackHigh(b0, b1).AsInt16(), highUpper = Avx2.UnpackHigh(b2, b3).AsInt16();
        (a, b) = (Avx2.UnpackLow(low, lowUpper).AsSingle(), Avx2.UnpackHigh(low, lowUpper).AsSingle());
        (c, d) = (Avx2.UnpackLow(high, highUpper).AsSingle(), Avx2.UnpackHigh(high, highUpper).AsSingle());
    }

    private static byte* Places()
    {
        var memory = (byte*)NativeMemory.AlignedAlloc(LevelBytes + 4 * 32, 64); // for the lifetime of the process
        Nf4.Table.CopyTo(new Span<float>(memory, Nf4.Table.Length));
        for (int place = 0; place < 4; place++)
            for (int i = 0; i < 32; i++)
                memory[LevelBytes + 32 * place + i] = memory[i % 16 * sizeof(float) + place];
        return memory;
    }
}

/// <summary>The 256 values of bitsandbytes' signed dynamic 8-bit type (arXiv 1511.04561; bitsandbytes
/// <c>create_dynamic_map</c>): for each power of ten from 10⁻⁶ to 1, twice as many values as for the previous one, at
/// the midpoints of equal parts of [0.1, 1]; their negatives, 0 and 1.</summary>
internal static class DynamicMap
{
    /// <summary>The values, ascending.</summary>
    public static float[] Values { get; } = Make();

    /// <summary>The midpoints between neighbours: a value above the i-th of them is closer to the next.</summary>
    public static float[] Bounds { get; } = [.. Values.Zip(Values.Skip(1), (below, above) => (below + above) / 2)];

    private static float[] Make()
    {
        const int Powers = 7;
        var values = new List<float> { 0, 1 };
        for (int power = 0; power < Powers; power++)
        {
            int parts = 1 << power;
            float factor = (float)Math.Pow(10, power - (Powers - 1));
            for (int part = 0; part < parts; part++)
            {
                float middle = (Edge(part, parts) + Edge(part + 1, parts)) / 2;
                values.Add(factor * middle);
                values.Add(-factor * middle);
            }
        }
        values.Sort();
        return [.. values];
    }

    // Counted from the nearer end in float32, as in torch.linspace on processors with a fused multiply-add: published
    // maps have these exact bits.
    private static float Edge(int index, int parts)
    {
        const float From = 0.1f, To = 1;
        float step = (To - From) / parts;
        return index < (parts + 1) / 2 ? MathF.FusedMultiplyAdd(step, index, From)
            : MathF.FusedMultiplyAdd(-step, parts - index, To);
    }
}

/// <summary>The scale of each block of a quantised matrix: plain, or itself quantised to 8 bits.</summary>
internal sealed unsafe class BlockScales : IDisposable
{
    private readonly Tensor absmax;       // float32 [blocks]; quantised uint8 [blocks]
    private readonly Tensor? nested;      // float32 [⌈blocks / nested block⌉]
    private readonly float[]? map;        // what the 8-bit codes stand for
    private readonly float* values;       // the same, where the collector moves nothing
    private readonly Tensor? held;        // the map's memory
    private readonly float* plain;
    private readonly byte* codes;
    private readonly float* nestedScales;
    private readonly int nestedShift;     // the nested block's size is a power of two

    /// <summary>Plain scales.</summary>
    public BlockScales(Tensor absmax, int blockSize)
    {
        (this.absmax, BlockSize, BlockShift) = (absmax, blockSize, int.Log2(blockSize));
        plain = (float*)NativeTensor.Address(absmax);
    }

    /// <summary>Quantised scales: map[code] · nested + offset.</summary>
    public BlockScales(Tensor codes, Tensor nested, float[] map, float offset, int blockSize, int nestedBlockSize)
    {
        (absmax, this.nested, this.map, Offset, BlockSize, NestedBlockSize) =
            (codes, nested, map, offset, blockSize, nestedBlockSize);
        this.codes = (byte*)NativeTensor.Address(codes);
        nestedScales = (float*)NativeTensor.Address(nested);
        held = tensor(map).DetachFromDisposeScope();
        values = (float*)NativeTensor.Address(held);
        (BlockShift, nestedShift) = (int.Log2(blockSize), int.Log2(nestedBlockSize));
    }

    /// <summary>Number of values that share a scale.</summary>
    public int BlockSize { get; }

    /// <summary>The base-2 logarithm of the block size.</summary>
    public int BlockShift { get; }

    /// <summary>Number of scales that share a scale of their own; 0 if they are plain.</summary>
    public int NestedBlockSize { get; }

    /// <summary>Added to every scale after expansion.</summary>
    public float Offset { get; }

    /// <summary>Whether the scales are quantised themselves.</summary>
    public bool IsNested => nested is not null;

    /// <summary>Size in bytes.</summary>
    public long Bytes => absmax.numel() * absmax.element_size() + (nested?.numel() ?? 0) * sizeof(float);

    /// <summary>The scale of a block.</summary>
    public float this[long block]
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get
        {
            if (plain != null) return plain[block];
            // rounded before the sum, as in bitsandbytes
            float product = values[codes[block]] * nestedScales[block >> nestedShift];
            return product + Offset;
        }
    }

    /// <summary>All scales in float32, [blocks], in the caller's dispose scope.</summary>
    public Tensor Expand()
    {
        var expanded = new float[absmax.numel()];
        for (int block = 0; block < expanded.Length; block++) expanded[block] = this[block];
        return tensor(expanded);
    }

    /// <summary>Quantises scales: subtracts their mean and stores the rest in the dynamic 8-bit type.</summary>
    public static BlockScales Quantize(float* scales, long blocks, int blockSize)
    {
        double sum = 0;
        for (long i = 0; i < blocks; i++) sum += scales[i];
        float offset = (float)(sum / blocks);
        const int Nested = Nf4.NestedBlockSize;
        Tensor codes = empty([blocks], ScalarType.Byte).DetachFromDisposeScope();
        Tensor largest = empty([(blocks + Nested - 1) / Nested]).DetachFromDisposeScope();
        byte* to = (byte*)NativeTensor.Address(codes);
        float* most = (float*)NativeTensor.Address(largest);
        float* rest = stackalloc float[Nested];
        for (long first = 0; first < blocks; first += Nested)
        {
            int length = (int)Math.Min(Nested, blocks - first);
            for (int i = 0; i < length; i++) rest[i] = scales[first + i] - offset;
            float size = Nf4.Largest(new ReadOnlySpan<float>(rest, length));
            if (length < Nested) size = Math.Max(size, 1e-38f);
            most[first / Nested] = size;
            Nf4.Nearest(rest, length, size, length == Nested, DynamicMap.Bounds, to + first);
        }
        return new BlockScales(codes, largest, DynamicMap.Values, offset, blockSize, Nested);
    }

    /// <summary>Its tensors in the form that bitsandbytes stores with a weight.</summary>
    public IEnumerable<KeyValuePair<string, Tensor>> Stored(string name)
    {
        yield return KeyValuePair.Create(name + ".absmax", absmax);
        if (nested is null) yield break;
        yield return KeyValuePair.Create(name + ".nested_absmax", nested);
        yield return KeyValuePair.Create(name + ".nested_quant_map", tensor(map!));
    }

    public void Dispose()
    {
        absmax.Dispose();
        nested?.Dispose();
        held?.Dispose();
    }
}
