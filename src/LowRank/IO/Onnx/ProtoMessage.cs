using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace LowRank.IO.Onnx;

/// <summary>A message in the wire format of protocol buffers, as far as ONNX files need it. Fields are written in the
/// order of the calls.</summary>
internal sealed class ProtoMessage
{
    private const int Number = 0, Block = 2, Single = 5; // wire types
    private readonly ArrayBufferWriter<byte> bytes = new();

    /// <summary>Number of bytes so far.</summary>
    public int Length => bytes.WrittenCount;

    /// <summary>Writes a whole number.</summary>
    public ProtoMessage Add(int field, long value)
    {
        Tag(field, Number);
        return Varint((ulong)value);
    }

    /// <summary>Writes a number of 32 bits.</summary>
    public ProtoMessage Add(int field, float value)
    {
        Tag(field, Single);
        Span<byte> four = stackalloc byte[4];
        BinaryPrimitives.WriteSingleLittleEndian(four, value);
        bytes.Write(four);
        return this;
    }

    /// <summary>Writes a text.</summary>
    public ProtoMessage Add(int field, string value) => Add(field, Encoding.UTF8.GetBytes(value));

    /// <summary>Writes bytes.</summary>
    public ProtoMessage Add(int field, ReadOnlySpan<byte> value)
    {
        Begin(field, value.Length);
        bytes.Write(value);
        return this;
    }

    /// <summary>Writes a message inside this one.</summary>
    public ProtoMessage Add(int field, ProtoMessage inner) => Add(field, inner.bytes.WrittenSpan);

    /// <summary>Writes the beginning of a text, message or bytes that the caller writes behind this
    /// message.</summary>
    /// <param name="field">The field's number.</param>
    /// <param name="length">Number of bytes that follow.</param>
    public ProtoMessage Begin(int field, long length)
    {
        Tag(field, Block);
        return Varint((ulong)length);
    }

    /// <summary>Writes another message's fields as fields of this one.</summary>
    public ProtoMessage Append(ProtoMessage fields)
    {
        bytes.Write(fields.bytes.WrittenSpan);
        return this;
    }

    /// <summary>Copies the message to a stream.</summary>
    public void WriteTo(Stream stream) => stream.Write(bytes.WrittenSpan);

    private void Tag(int field, int wireType) => Varint((ulong)(field << 3 | wireType));

    private ProtoMessage Varint(ulong value)
    {
        for (; value > 127; value >>= 7) bytes.Write([(byte)(value | 128)]);
        bytes.Write([(byte)value]);
        return this;
    }
}
