using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace LowRank.IO.Gguf;

/// <summary>Values that stand one by one: float32, float16 and bfloat16.</summary>
internal static class PlainBlocks
{
    public static void DecodeF32(ReadOnlySpan<byte> blocks, Span<float> values) =>
        blocks.CopyTo(MemoryMarshal.AsBytes(values));

    public static void EncodeF32(ReadOnlySpan<float> values, Span<byte> blocks) =>
        MemoryMarshal.AsBytes(values).CopyTo(blocks);

    public static void DecodeF16(ReadOnlySpan<byte> blocks, Span<float> values)
    {
        for (int i = 0; i < values.Length; i++)
            values[i] = (float)BinaryPrimitives.ReadHalfLittleEndian(blocks[(2 * i)..]);
    }

    public static void EncodeF16(ReadOnlySpan<float> values, Span<byte> blocks)
    {
        for (int i = 0; i < values.Length; i++)
            BinaryPrimitives.WriteHalfLittleEndian(blocks[(2 * i)..], (Half)values[i]);
    }

    public static void DecodeBF16(ReadOnlySpan<byte> blocks, Span<float> values)
    {
        for (int i = 0; i < values.Length; i++)
            values[i] = BitConverter.UInt32BitsToSingle(
                (uint)BinaryPrimitives.ReadUInt16LittleEndian(blocks[(2 * i)..]) << 16);
    }

    // To the nearest, to even where two are as near, as ggml and torch do.
    public static void EncodeBF16(ReadOnlySpan<float> values, Span<byte> blocks)
    {
        for (int i = 0; i < values.Length; i++)
        {
            uint bits = BitConverter.SingleToUInt32Bits(values[i]);
            uint rounded = float.IsNaN(values[i]) ? (bits >> 16) | 64 : (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
            BinaryPrimitives.WriteUInt16LittleEndian(blocks[(2 * i)..], (ushort)rounded);
        }
    }
}
