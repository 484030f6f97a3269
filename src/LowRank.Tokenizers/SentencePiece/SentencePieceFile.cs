using System.Buffers.Binary;
using System.Text;
using LowRank.Tokenizers.Normalizers;

namespace LowRank.Tokenizers.SentencePiece;

/// <summary>A sentencepiece model file (arXiv 1808.06226; sentencepiece_model.proto).</summary>
internal sealed class SentencePieceFile
{
    private const int Unigram = 1, BytePairs = 2;

    private SentencePieceFile(string path) => Path = path;

    /// <summary>The file.</summary>
    public string Path { get; }

    /// <summary>The pieces in the order of their ids.</summary>
    public List<(string Text, float Score, PieceKind Kind)> Pieces { get; } = [];

    /// <summary>Whether tokens are merged pair by pair; unigram otherwise.</summary>
    public bool MergesPairs { get; private set; }

    /// <summary>Whether unknown text becomes tokens of its bytes.</summary>
    public bool FallsBackToBytes { get; private set; }

    /// <summary>Whether a blank belongs to the word before it.</summary>
    public bool BlankEndsWord { get; private set; }

    /// <summary>What an unknown token is shown as.</summary>
    public string UnknownSurface { get; private set; } = " \u2047 ";

    /// <summary>The map of characters; null where there is none.</summary>
    public CharacterMap? Map { get; private set; }

    /// <summary>Whether a blank is put before a text.</summary>
    public bool AddsBlank { get; private set; } = true;

    /// <summary>Whether blanks at the edges and repeated ones are taken out.</summary>
    public bool RemovesBlanks { get; private set; } = true;

    /// <summary>Whether blanks are written as ▁.</summary>
    public bool WritesBlanks { get; private set; } = true;

    /// <summary>Reads a file.</summary>
    /// <exception cref="InputException">It is damaged, or its algorithm is neither BPE nor unigram.</exception>
    public static SentencePieceFile Read(string path)
    {
        var file = new SentencePieceFile(path);
        var model = new ProtobufReader(SmallFile.ReadBytes(path, SmallFile.MostOfVocabulary), path);
        while (model.Read())
        {
            if (model.Field == 1) file.ReadPiece(new ProtobufReader(model.Bytes, path));
            else if (model.Field == 2) file.ReadTrainer(new ProtobufReader(model.Bytes, path));
            else if (model.Field == 3) file.ReadNormalizer(new ProtobufReader(model.Bytes, path));
        }
        return file.Pieces.Count > 0 ? file
            : throw new InputException($"{path} holds no pieces, expected a sentencepiece model.");
    }

    private void ReadPiece(ProtobufReader piece)
    {
        (string text, float score, PieceKind kind) = ("", 0, PieceKind.Normal);
        while (piece.Read())
        {
            if (piece.Field == 1) text = Encoding.UTF8.GetString(piece.Bytes);
            else if (piece.Field == 2) score = piece.Single;
            else if (piece.Field == 3) kind = (PieceKind)piece.Number;
        }
        // As sentencepiece has it (model_interface.cc); an empty piece would match at every place for ever.
        if (text.Length == 0) throw new InputException($"{Path}: piece {Pieces.Count} is empty, expected a text.");
        Pieces.Add((text, score, kind));
    }

    private void ReadTrainer(ProtobufReader trainer)
    {
        while (trainer.Read())
        {
            if (trainer.Field == 3)
            {
                if (trainer.Number is not (Unigram or BytePairs))
                    throw new InputException(
                        $"{Path}: the model type is {trainer.Number}; supported are unigram ({Unigram}) and BPE " +
                        $"({BytePairs}).");
                MergesPairs = trainer.Number == BytePairs;
            }
            else if (trainer.Field == 24) BlankEndsWord = trainer.Number != 0;
            else if (trainer.Field == 35) FallsBackToBytes = trainer.Number != 0;
            else if (trainer.Field == 44) UnknownSurface = Encoding.UTF8.GetString(trainer.Bytes);
        }
    }

    private void ReadNormalizer(ProtobufReader normalizer)
    {
        while (normalizer.Read())
        {
            if (normalizer.Field == 2 && normalizer.Bytes.Length > 0) Map = new CharacterMap(normalizer.Bytes, Path);
            else if (normalizer.Field == 3) AddsBlank = normalizer.Number != 0;
            else if (normalizer.Field == 4) RemovesBlanks = normalizer.Number != 0;
            else if (normalizer.Field == 5) WritesBlanks = normalizer.Number != 0;
        }
    }
}

/// <summary>Reads the fields of a protobuf message (protobuf.dev, "Encoding"): as much of the format as sentencepiece
/// models have.</summary>
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

    private readonly InputException Damaged() =>
        new($"{place} is no sentencepiece model, or is damaged, near byte {at}. Copy the file again.");
}

/// <summary>What a piece of a sentencepiece model is (sentencepiece_model.proto).</summary>
internal enum PieceKind
{
    /// <summary>A token that texts are parted into.</summary>
    Normal = 1,

    /// <summary>Stands for what no token covers.</summary>
    Unknown = 2,

    /// <summary>Has no text, such as the beginning of a sentence.</summary>
    Control = 3,

    /// <summary>Is always kept whole.</summary>
    UserDefined = 4,

    /// <summary>Is never made, but may be merged from.</summary>
    Unused = 5,

    /// <summary>Stands for a byte.</summary>
    Byte = 6,
}
