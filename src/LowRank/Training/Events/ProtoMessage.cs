using System.Buffers.Binary;
using System.Text;

namespace LowRank.Training.Events;

/// <summary>A message in protobuf's wire format (https://protobuf.dev/programming-guides/encoding), written field by field.</summary>
internal sealed class ProtoMessage
{
    private const int VarintKind = 0, Fixed64Kind = 1, LengthKind = 2, Fixed32Kind = 5;

    private readonly List<byte> bytes = [];

    /// <summary>The message as it goes into a file, or into another message.</summary>
    public byte[] ToArray() => [.. bytes];

    /// <summary>A whole number or an enum's value.</summary>
    public ProtoMessage Whole(int field, long value) => Key(field, VarintKind).Varint((ulong)value);

    public ProtoMessage Double(int field, double value)
    {
        Key(field, Fixed64Kind);
        Span<byte> fixedBytes = stackalloc byte[8];
        BinaryPrimitives.WriteDoubleLittleEndian(fixedBytes, value);
        bytes.AddRange(fixedBytes);
        return this;
    }

    public ProtoMessage Float(int field, float value)
    {
        Key(field, Fixed32Kind);
        Span<byte> fixedBytes = stackalloc byte[4];
        BinaryPrimitives.WriteSingleLittleEndian(fixedBytes, value);
        bytes.AddRange(fixedBytes);
        return this;
    }

    public ProtoMessage Text(int field, string value) => Bytes(field, Encoding.UTF8.GetBytes(value));

    public ProtoMessage Message(int field, ProtoMessage value) => Bytes(field, value.ToArray());

    private ProtoMessage Bytes(int field, byte[] value)
    {
        Key(field, LengthKind).Varint((ulong)value.Length);
        bytes.AddRange(value);
        return this;
    }

    private ProtoMessage Key(int field, int kind) => Varint((ulong)(field << 3 | kind));

    private ProtoMessage Varint(ulong value)
    {
        for (; value >= 0x80; value >>= 7) bytes.Add((byte)(value | 0x80));
        bytes.Add((byte)value);
        return this;
    }
}
