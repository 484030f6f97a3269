using System.Buffers;
using System.Text;
using LowRank.Tokenization.Decoders;

namespace LowRank.Tokenization.SentencePiece;

/// <summary>Pieces to text as sentencepiece shows it: ▁ as a blank but for the one put before a text, control pieces left
/// out, unknown ones as their surface, bytes as the characters they code (sentencepiece_processor.cc).</summary>
internal sealed class SentencePieceDecoder : IDecoder
{
    private const string Blank = "▁";
    private readonly SentencePieceFile file;
    private readonly Dictionary<string, PieceKind> kinds = [];

    public SentencePieceDecoder(SentencePieceFile file)
    {
        this.file = file;
        foreach ((string text, _, PieceKind kind) in file.Pieces) kinds.TryAdd(text, kind);
    }

    public IReadOnlyList<string> Decode(IReadOnlyList<string> tokens, TextBudget? budget = null)
    {
        List<string> result = [];
        List<byte> run = [];
        bool begins = true;
        foreach (string token in tokens)
        {
            if (kinds.GetValueOrDefault(token) == PieceKind.Byte && ByteFallbackDecoder.ByteOf(token) is { } value)
            {
                run.Add(value);
                begins = false;
                continue;
            }
            Flush();
            result.Add(Text(token, ref begins));
        }
        Flush();
        return result;

        void Flush()
        {
            if (run.Count > 0) result.Add(Characters([.. run]));
            run.Clear();
        }
    }

    private string Text(string token, ref bool begins)
    {
        string text = kinds.GetValueOrDefault(token, PieceKind.Normal) switch
        {
            PieceKind.Control => "",
            PieceKind.Unknown => file.UnknownSurface,
            _ => token,
        };
        bool isPiece = text.Length > 0 && text == token;
        bool hadBlank = false;
        if (isPiece && begins && (file.AddsBlank || file.RemovesBlanks) && text.StartsWith(Blank, StringComparison.Ordinal))
        {
            text = text[Blank.Length..];
            hadBlank = !file.RemovesBlanks; // where blanks are taken out, all those at the beginning are
        }
        if (isPiece) text = text.Replace(Blank, " ", StringComparison.Ordinal);
        if (hadBlank || text.Length > 0) begins = false;
        return text;
    }

    // Unlike the tokenizers library, which gives up the whole run, a U+FFFD for each byte that is part of no character.
    private static string Characters(ReadOnlySpan<byte> bytes)
    {
        var text = new StringBuilder();
        while (bytes.Length > 0)
        {
            bool isCharacter = Rune.DecodeFromUtf8(bytes, out Rune rune, out int consumed) == OperationStatus.Done;
            text.Append(isCharacter ? rune.ToString() : "\uFFFD");
            bytes = bytes[(isCharacter ? consumed : 1)..];
        }
        return text.ToString();
    }
}
