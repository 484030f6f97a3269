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

    /// <summary>Whether tokens are merged pair by pair; otherwise unigram.</summary>
    public bool MergesPairs { get; private set; }

    /// <summary>Whether unknown text becomes the tokens of its bytes.</summary>
    public bool FallsBackToBytes { get; private set; }

    /// <summary>Whether a space belongs to the word before it.</summary>
    public bool BlankEndsWord { get; private set; }

    /// <summary>The text shown for an unknown token.</summary>
    public string UnknownSurface { get; private set; } = " \u2047 ";

    /// <summary>The character map; null if there is none.</summary>
    public CharacterMap? Map { get; private set; }

    /// <summary>The character map as the file has it; null if there is none.</summary>
    public byte[]? MapBytes { get; private set; }

    /// <summary>Whether a space is inserted before a text.</summary>
    public bool AddsBlank { get; private set; } = true;

    /// <summary>Whether spaces at the edges and repeated spaces are removed.</summary>
    public bool RemovesBlanks { get; private set; } = true;

    /// <summary>Whether spaces are written as ▁.</summary>
    public bool WritesBlanks { get; private set; } = true;

    /// <summary>Reads a file.</summary>
    /// <exception cref="InputException">The file is damaged, or its algorithm is neither BPE nor unigram.</exception>
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
        // As in sentencepiece (model_interface.cc); an empty piece would match everywhere, endlessly.
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
            if (normalizer.Field == 2 && normalizer.Bytes.Length > 0)
            {
                MapBytes = normalizer.Bytes.ToArray();
                Map = new CharacterMap(MapBytes, Path);
            }
            else if (normalizer.Field == 3) AddsBlank = normalizer.Number != 0;
            else if (normalizer.Field == 4) RemovesBlanks = normalizer.Number != 0;
            else if (normalizer.Field == 5) WritesBlanks = normalizer.Number != 0;
        }
    }
}

/// <summary>Reads the fields of a protobuf message (protobuf.dev, "Encoding"): the subset of the format that
/// sentencepiece models use.</summary>
internal ref struct ProtobufReader(ReadOnlySpan<byte> message, string place)
{
    private readonly ReadOnlySpan<byte> message = message;
    private int at;

    /// <summary>The number of the current field.</summary>
    public int Field { get; private set; }

    /// <summary>The value of an integer or boolean.</summary>
    public ulong Number { get; private set; }

    /// <summary>The value of a string or message.</summary>
    public ReadOnlySpan<byte> Bytes { get; private set; }

    /// <summary>The value of a single-precision number.</summary>
    public readonly float Single => BitConverter.UInt32BitsToSingle((uint)Number);

    /// <summary>Reads the next field; false at the end.</summary>
    /// <exception cref="InputException">The bytes are not a valid message.</exception>
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

/// <summary>The type of a piece in a sentencepiece model (sentencepiece_model.proto).</summary>
internal enum PieceKind
{
    /// <summary>A token for segmentation.</summary>
    Normal = 1,

    /// <summary>The token for text that no other token covers.</summary>
    Unknown = 2,

    /// <summary>A token without text, such as the beginning of a sentence.</summary>
    Control = 3,

    /// <summary>A token that is always kept whole.</summary>
    UserDefined = 4,

    /// <summary>A token that is never produced, but may be an intermediate merge.</summary>
    Unused = 5,

    /// <summary>A token that represents a byte.</summary>
    Byte = 6,
}
