using System.Buffers.Binary;

namespace LowRank.Tokenization.SentencePiece;

/// <summary>Reads the fields of a protobuf message (protobuf.dev, "Encoding"): as much of the format as sentencepiece models
/// have.</summary>
internal ref struct ProtobufReader(ReadOnlySpan<byte> message, string place)
{
    private readonly ReadOnlySpan<byte> message = message;
    private int at;

    /// <summary>The number of the field that was read.</summary>
    public int Field { get; private set; }

    /// <summary>The value of a whole number or truth value.</summary>
    public ulong Number { get; private set; }

    /// <summary>The value of a text or message.</summary>
    public ReadOnlySpan<byte> Bytes { get; private set; }

    /// <summary>The value of a single-precision number.</summary>
    public readonly float Single => BitConverter.UInt32BitsToSingle((uint)Number);

    /// <summary>Reads the next field; false at the end.</summary>
    /// <exception cref="InputException">The bytes are no such message.</exception>
    public bool Read()
    {
        if (at >= message.Length) return false;
        ulong tag = Varint();
        Field = (int)(tag >> 3);
        switch (tag & 7)
        {
            case 0:
                Number = Varint();
                break;
            case 1:
                Number = BinaryPrimitives.ReadUInt64LittleEndian(Take(8));
                break;
            case 2:
                Bytes = Take((long)Varint());
                break;
            case 5:
                Number = BinaryPrimitives.ReadUInt32LittleEndian(Take(4));
                break;
            default:
                throw Damaged();
        }
        return true;
    }

    private ulong Varint()
    {
        ulong value = 0;
        for (int shift = 0; shift < 70; shift += 7)
        {
            byte part = Take(1)[0];
            value |= (ulong)(part & 0x7F) << shift;
            if (part < 0x80) return value;
        }
        throw Damaged();
    }

    private ReadOnlySpan<byte> Take(long count)
    {
        if (count < 0 || count > message.Length - at) throw Damaged();
        ReadOnlySpan<byte> taken = message.Slice(at, (int)count);
        at += (int)count;
        return taken;
    }

    private readonly InputException Damaged() => new($"{place} is no sentencepiece model, or is damaged, near byte {at}. Copy the file again.");
}
