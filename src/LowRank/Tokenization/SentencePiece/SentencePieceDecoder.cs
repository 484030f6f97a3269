using LowRank.Tokenization.Decoders;

namespace LowRank.Tokenization.SentencePiece;

/// <summary>Pieces to text as sentencepiece shows it: ▁ as a blank but for the one put before a text, control pieces left
/// out, unknown ones as their surface, runs of bytes as the text they code (sentencepiece_processor.cc).</summary>
internal sealed class SentencePieceDecoder : IDecoder
{
    private const string Blank = "▁";
    private static readonly ByteFallbackDecoder BytesToText = new();
    private readonly SentencePieceFile file;
    private readonly Dictionary<string, PieceKind> kinds = [];

    public SentencePieceDecoder(SentencePieceFile file)
    {
        this.file = file;
        foreach ((string text, _, PieceKind kind) in file.Pieces) kinds.TryAdd(text, kind);
    }

    public IReadOnlyList<string> Decode(IReadOnlyList<string> tokens)
    {
        List<string> result = [];
        bool begins = true;
        foreach (string token in BytesToText.Decode(tokens))
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
            text = isPiece ? text.Replace(Blank, " ", StringComparison.Ordinal) : text;
            if (hadBlank || text.Length > 0) begins = false;
            result.Add(text);
        }
        return result;
    }
}
