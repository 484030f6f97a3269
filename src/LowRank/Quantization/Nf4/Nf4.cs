using System.Runtime.Intrinsics;
using LowRank.Tensors.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Quantization;

/// <summary>The 4-bit normal float with double quantisation (QLoRA, arXiv 2305.14314, section 3), as bitsandbytes defines it: blocks of
/// 64 values, each value the nearest of 16 levels times the block's largest absolute value; those absolute values, less their mean, in
/// the dynamic 8-bit type in blocks of 256.</summary>
/// <remarks>0.516 bytes a weight. Follows bitsandbytes' own kernel for processors: values are scaled by the reciprocal of the block's
/// largest one, those of an incomplete last block divided by it; a value halfway between two levels takes the lower. The mean is
/// computed in float64, so that every machine gets the same; bitsandbytes' may differ in its last bit.</remarks>
public static unsafe class Nf4
{
    /// <summary>Values that share a scale.</summary>
    public const int BlockSize = 64;

    /// <summary>Scales that share a scale of their own.</summary>
    public const int NestedBlockSize = 256;

    // As bitsandbytes keeps a block of zeros from a division by zero.
    private const float Tiny = 1e-38f;

    /// <summary>The 16 levels, ascending; a code is a place among them.</summary>
    public static IReadOnlyList<float> Levels => Table;

    internal static readonly float[] Table =
    [
        -1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f, -0.18477343022823334f,
        -0.09105003625154495f, 0.0f, 0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f,
        0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f,
    ];

    private static readonly float[] Bounds = [.. Table.Zip(Table.Skip(1), (below, above) => (below + above) / 2)];

    /// <summary>What a matrix becomes when it is quantised and expanded again.</summary>
    /// <param name="matrix">[out, in], of any floating type.</param>
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
        nint values = NativeTensor.Address(wide), packed = NativeTensor.Address(codes), largest = NativeTensor.Address(scales);
        ProcessorWork.Split(count, BlockSize, count, (first, length) => Pack((float*)values, (byte*)packed, (float*)largest, first, first + length));
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

    /// <summary>The places of a block's scaled values among levels.</summary>
    /// <param name="values">The values.</param>
    /// <param name="length">How many.</param>
    /// <param name="most">The largest absolute value.</param>
    /// <param name="isWhole">Whether the block is complete: it is scaled by the reciprocal then, else divided.</param>
    /// <param name="bounds">Halfway between the levels, ascending.</param>
    /// <param name="codes">Where the places go.</param>
    internal static void Nearest(float* values, int length, float most, bool isWhole, float[] bounds, byte* codes)
    {
        float reciprocal = 1 / Math.Max(most, Tiny);
        for (int i = 0; i < length; i++)
        {
            float scaled = isWhole ? values[i] * reciprocal : values[i] / most;
            codes[i] = Nearest(Math.Clamp(scaled, -1, 1), bounds);
        }
    }

    // As the other, of a whole block: counts the bounds below eight values at a time.
    private static void NearestLevels(float* values, float reciprocal, byte* codes)
    {
        int* counts = stackalloc int[Vector256<int>.Count];
        for (int at = 0; at < BlockSize; at += Vector256<float>.Count)
        {
            Vector256<float> scaled = Vector256.Load(values + at) * reciprocal;
            Vector256<int> count = Vector256<int>.Zero;
            foreach (float bound in Bounds) count -= Vector256.LessThan(Vector256.Create(bound), scaled).AsInt32(); // true is −1
            count.Store(counts);
            for (int i = 0; i < Vector256<int>.Count; i++) codes[at + i] = (byte)counts[i];
        }
    }

    /// <summary>The largest absolute value; not a number where one is not.</summary>
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

    /// <summary>Refuses scales of values that are not finite.</summary>
    internal static void RequireFinite(float* scales, long count)
    {
        for (long i = 0; i < count; i++)
            if (!float.IsFinite(scales[i])) throw new InputException("A value is not finite, so that its block has no scale. Check where the weights come from.");
    }

    // How many bounds are below the value.
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
