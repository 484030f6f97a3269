using System.Buffers.Binary;
using System.Numerics;

namespace LowRank.Training.Events;

/// <summary>TensorFlow's record: length, its checksum, the bytes, their checksum.</summary>
internal static class EventRecord
{
    private const uint MaskDelta = 0xa282ead8; // a checksum of bytes that hold checksums would be weak: TensorFlow turns it and adds this

    /// <summary>The bytes of a record.</summary>
    public static byte[] Of(ReadOnlySpan<byte> content)
    {
        var record = new byte[8 + 4 + content.Length + 4];
        BinaryPrimitives.WriteUInt64LittleEndian(record, (ulong)content.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(8), MaskedChecksum(record.AsSpan(0, 8)));
        content.CopyTo(record.AsSpan(12));
        BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(12 + content.Length), MaskedChecksum(content));
        return record;
    }

    /// <summary>CRC-32C (Castagnoli), masked.</summary>
    public static uint MaskedChecksum(ReadOnlySpan<byte> content)
    {
        uint checksum = ~0u;
        foreach (byte value in content) checksum = BitOperations.Crc32C(checksum, value);
        return BitOperations.RotateRight(~checksum, 15) + MaskDelta;
    }
}
