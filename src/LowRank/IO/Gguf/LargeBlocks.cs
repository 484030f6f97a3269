using System.Buffers.Binary;

namespace LowRank.IO.Gguf;

/// <summary>Expands ggml's K types: blocks of 256 values in groups, each with a scale (and for 4 and 5 bits an offset)
/// that is quantised too.</summary>
internal static class LargeBlocks
{
    /// <summary>Values of a block.</summary>
    public const int Size = 256;

    private const int ScaleBytes = 12;

    public static void DecodeQ4(ReadOnlySpan<byte> blocks, Span<float> values)
    {
        for (; !values.IsEmpty; values = values[Size..], blocks = blocks[144..])
        {
            ReadOnlySpan<byte> packed = blocks.Slice(4 + ScaleBytes, Size / 2);
            for (int group = 0; group < 8; group++)
            {
                (float scale, float offset) = Group(blocks, group);
                ReadOnlySpan<byte> from = packed.Slice(group / 2 * 32, 32);
                Span<float> to = values.Slice(group * 32, 32);
                int shift = group % 2 * 4;
                for (int i = 0; i < 32; i++) to[i] = scale * (from[i] >> shift & 15) - offset;
            }
        }
    }

    public static void DecodeQ5(ReadOnlySpan<byte> blocks, Span<float> values)
    {
        for (; !values.IsEmpty; values = values[Size..], blocks = blocks[176..])
        {
            ReadOnlySpan<byte> fifth = blocks.Slice(4 + ScaleBytes, 32), packed = blocks.Slice(48, Size / 2);
            for (int group = 0; group < 8; group++)
            {
                (float scale, float offset) = Group(blocks, group);
                ReadOnlySpan<byte> from = packed.Slice(group / 2 * 32, 32);
                Span<float> to = values.Slice(group * 32, 32);
                int shift = group % 2 * 4;
                for (int i = 0; i < 32; i++)
                    to[i] = scale * ((from[i] >> shift & 15) + (fifth[i] >> group & 1) * 16) - offset;
            }
        }
    }

    public static void DecodeQ6(ReadOnlySpan<byte> blocks, Span<float> values)
    {
        for (; !values.IsEmpty; values = values[Size..], blocks = blocks[210..])
        {
            float all = (float)BinaryPrimitives.ReadHalfLittleEndian(blocks[208..]);
            for (int half = 0; half < 2; half++)
            {
                ReadOnlySpan<byte> low = blocks.Slice(half * 64, 64), high = blocks.Slice(128 + half * 32, 32),
                    scales = blocks.Slice(192 + half * 8, 8);
                for (int quarter = 0; quarter < 4; quarter++)
                {
                    ReadOnlySpan<byte> from = low.Slice(quarter % 2 * 32, 32);
                    Span<float> to = values.Slice(half * 128 + quarter * 32, 32);
                    int shift = quarter / 2 * 4;
                    for (int i = 0; i < 32; i++)
                        to[i] = all * (sbyte)scales[quarter * 2 + i / 16]
                            * ((from[i] >> shift & 15 | (high[i] >> quarter * 2 & 3) << 4) - 32);
                }
            }
        }
    }

    /// <summary>Scale and offset of a group of 32 values in a block of 4 or 5 bits.</summary>
    public static (float Scale, float Offset) Group(ReadOnlySpan<byte> block, int group)
    {
        float scale = (float)BinaryPrimitives.ReadHalfLittleEndian(block),
            offset = (float)BinaryPrimitives.ReadHalfLittleEndian(block[2..]);
        ReadOnlySpan<byte> packed = block.Slice(4, ScaleBytes);
        return group < 4 ? (scale * (packed[group] & 63), offset * (packed[group + 4] & 63))
            : (scale * (packed[group + 4] & 15 | packed[group - 4] >> 6 << 4),
                offset * (packed[group + 4] >> 4 | packed[group] >> 6 << 4));
    }
}
