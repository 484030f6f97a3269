using System.Buffers.Binary;

namespace LowRank.IO.Gguf;

/// <summary>Expands blocks of 32 values with one scale. Of a block's values in 4 or 5 bits, the first half is in the
/// low halves of its bytes and the second in the high halves.</summary>
internal static class SmallBlocks
{
    private const int Size = 32, Half = Size / 2;

    // Twice the values of a float in 4 bits (OCP Microscaling Formats 1.0, E2M1), so that they are whole.
    private static ReadOnlySpan<sbyte> Mxfp4Levels => [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

    public static void DecodeQ8_0(ReadOnlySpan<byte> blocks, Span<float> values)
    {
        for (; !values.IsEmpty; values = values[Size..], blocks = blocks[34..])
        {
            float scale = Number(blocks);
            ReadOnlySpan<byte> packed = blocks.Slice(2, Size);
            for (int i = 0; i < Size; i++) values[i] = (sbyte)packed[i] * scale;
        }
    }

    public static void DecodeQ4_0(ReadOnlySpan<byte> blocks, Span<float> values)
    {
        for (; !values.IsEmpty; values = values[Size..], blocks = blocks[18..])
        {
            float scale = Number(blocks);
            ReadOnlySpan<byte> packed = blocks.Slice(2, Half);
            for (int i = 0; i < Half; i++)
            {
                values[i] = ((packed[i] & 15) - 8) * scale;
                values[i + Half] = ((packed[i] >> 4) - 8) * scale;
            }
        }
    }

    public static void DecodeQ4_1(ReadOnlySpan<byte> blocks, Span<float> values)
    {
        for (; !values.IsEmpty; values = values[Size..], blocks = blocks[20..])
        {
            float scale = Number(blocks), least = Number(blocks[2..]);
            ReadOnlySpan<byte> packed = blocks.Slice(4, Half);
            for (int i = 0; i < Half; i++)
            {
                values[i] = (packed[i] & 15) * scale + least;
                values[i + Half] = (packed[i] >> 4) * scale + least;
            }
        }
    }

    public static void DecodeQ5_0(ReadOnlySpan<byte> blocks, Span<float> values)
    {
        for (; !values.IsEmpty; values = values[Size..], blocks = blocks[22..])
        {
            float scale = Number(blocks);
            uint fifth = BinaryPrimitives.ReadUInt32LittleEndian(blocks[2..]);
            ReadOnlySpan<byte> packed = blocks.Slice(6, Half);
            for (int i = 0; i < Half; i++)
            {
                values[i] = ((packed[i] & 15) + Bit(fifth, i) - 16) * scale;
                values[i + Half] = ((packed[i] >> 4) + Bit(fifth, i + Half) - 16) * scale;
            }
        }
    }

    public static void DecodeQ5_1(ReadOnlySpan<byte> blocks, Span<float> values)
    {
        for (; !values.IsEmpty; values = values[Size..], blocks = blocks[24..])
        {
            float scale = Number(blocks), least = Number(blocks[2..]);
            uint fifth = BinaryPrimitives.ReadUInt32LittleEndian(blocks[4..]);
            ReadOnlySpan<byte> packed = blocks.Slice(8, Half);
            for (int i = 0; i < Half; i++)
            {
                values[i] = ((packed[i] & 15) + Bit(fifth, i)) * scale + least;
                values[i + Half] = ((packed[i] >> 4) + Bit(fifth, i + Half)) * scale + least;
            }
        }
    }

    public static void DecodeMxfp4(ReadOnlySpan<byte> blocks, Span<float> values)
    {
        for (; !values.IsEmpty; values = values[Size..], blocks = blocks[17..])
        {
            float scale = HalfOfPower(blocks[0]);
            ReadOnlySpan<byte> packed = blocks.Slice(1, Half);
            for (int i = 0; i < Half; i++)
            {
                values[i] = Mxfp4Levels[packed[i] & 15] * scale;
                values[i + Half] = Mxfp4Levels[packed[i] >> 4] * scale;
            }
        }
    }

    // 2^(exponent - 128), which is subnormal for the two least exponents.
    private static float HalfOfPower(byte exponent) =>
        BitConverter.UInt32BitsToSingle(exponent < 2 ? 0x00200000u << exponent : (uint)(exponent - 1) << 23);

    private static int Bit(uint fifth, int value) => (int)((fifth >> value) & 1) << 4;

    private static float Number(ReadOnlySpan<byte> bytes) => (float)BinaryPrimitives.ReadHalfLittleEndian(bytes);
}
