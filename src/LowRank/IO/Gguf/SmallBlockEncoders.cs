using System.Buffers.Binary;

namespace LowRank.IO.Gguf;

/// <summary>Packs values into blocks of 32, byte for byte as llama-quantize does.</summary>
/// <remarks>Source: ggml's <c>quantize_row_*_ref</c>. The order and the type of each operation matter: a sum in another
/// order rounds otherwise.</remarks>
internal static class SmallBlockEncoders
{
    private const int Size = 32, Half = Size / 2;

    public static void EncodeQ8_0(ReadOnlySpan<float> values, Span<byte> blocks)
    {
        for (; !values.IsEmpty; values = values[Size..], blocks = blocks[34..])
        {
            float largest = 0;
            for (int i = 0; i < Size; i++) largest = Math.Max(largest, Math.Abs(values[i]));
            float scale = largest / 127, inverse = scale == 0 ? 0 : 1 / scale;
            Write(blocks, scale);
            for (int i = 0; i < Size; i++)
                blocks[2 + i] = (byte)(sbyte)MathF.Round(values[i] * inverse, MidpointRounding.AwayFromZero);
        }
    }

    public static void EncodeQ4_0(ReadOnlySpan<float> values, Span<byte> blocks)
    {
        for (; !values.IsEmpty; values = values[Size..], blocks = blocks[18..])
        {
            float scale = Extreme(values) / -8, inverse = scale == 0 ? 0 : 1 / scale;
            Write(blocks, scale);
            for (int i = 0; i < Half; i++)
                blocks[2 + i] = (byte)(Level(values[i] * inverse + 8.5f, 15)
                    | Level(values[i + Half] * inverse + 8.5f, 15) << 4);
        }
    }

    public static void EncodeQ5_0(ReadOnlySpan<float> values, Span<byte> blocks)
    {
        for (; !values.IsEmpty; values = values[Size..], blocks = blocks[22..])
        {
            float scale = Extreme(values) / -16, inverse = scale == 0 ? 0 : 1 / scale;
            Write(blocks, scale);
            uint fifth = 0;
            for (int i = 0; i < Half; i++)
                blocks[6 + i] = Pair(Level(values[i] * inverse + 16.5f, 31),
                    Level(values[i + Half] * inverse + 16.5f, 31), i, ref fifth);
            BinaryPrimitives.WriteUInt32LittleEndian(blocks[2..], fifth);
        }
    }

    public static void EncodeQ5_1(ReadOnlySpan<float> values, Span<byte> blocks)
    {
        for (; !values.IsEmpty; values = values[Size..], blocks = blocks[24..])
        {
            float least = float.MaxValue, most = float.MinValue;
            for (int i = 0; i < Size; i++)
            {
                if (values[i] < least) least = values[i];
                if (values[i] > most) most = values[i];
            }
            float scale = (most - least) / 31, inverse = scale == 0 ? 0 : 1 / scale;
            Write(blocks, scale);
            Write(blocks[2..], least);
            uint fifth = 0;
            for (int i = 0; i < Half; i++)
                blocks[8 + i] = Pair((int)((values[i] - least) * inverse + 0.5f),
                    (int)((values[i + Half] - least) * inverse + 0.5f), i, ref fifth);
            BinaryPrimitives.WriteUInt32LittleEndian(blocks[4..], fifth);
        }
    }

    private static byte Pair(int first, int second, int at, ref uint fifth)
    {
        fifth |= (uint)(first >> 4 & 1) << at | (uint)(second >> 4 & 1) << (at + Half);
        return (byte)(first & 15 | (second & 15) << 4);
    }

    // The value of the largest magnitude, with its sign: the first of several.
    private static float Extreme(ReadOnlySpan<float> values)
    {
        float largest = 0, extreme = 0;
        for (int i = 0; i < Size; i++)
        {
            if (largest >= Math.Abs(values[i])) continue;
            largest = Math.Abs(values[i]);
            extreme = values[i];
        }
        return extreme;
    }

    private static int Level(float value, int most) => Math.Min(most, (int)value);

    private static void Write(Span<byte> target, float number) =>
        BinaryPrimitives.WriteHalfLittleEndian(target, (System.Half)number);
}
