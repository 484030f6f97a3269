using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using LowRank.Tokenizers.Decoders;
using LowRank.Tokenizers.Normalizers;

namespace LowRank.Tokenizers.SentencePiece;

/// <summary>sentencepiece's own normalizer: replaces the longest entry of its map at each position, removes spaces at
/// the edges and repeated spaces, inserts one before the text, and writes spaces as ▁ (normalizer.cc).</summary>
internal sealed class SentencePieceNormalizer : INormalizer
{
    private const string Blank = "▁";
    private readonly SentencePieceFile file;
    private readonly string[] whole; // user-defined pieces, which stay as they are; the longest first

    public SentencePieceNormalizer(SentencePieceFile file)
    {
        this.file = file;
        whole = [.. file.Pieces.Where(piece => piece.Kind == PieceKind.UserDefined).Select(piece => piece.Text)
            .OrderByDescending(text => text.Length)];
    }

    public string Normalize(string text, TextBudget? budget = null) => Align(AlignedText.Of(text, budget)).Text;

    public AlignedText Align(AlignedText text)
    {
        // Parts of the text and their replacements, before spaces are processed.
        List<(int Start, int Length, string Text)> parts = [];
        for (int at = 0; at < text.Text.Length;)
        {
            (string made, int length) = Part(text.Text, at);
            parts.Add((at, length, made));
            at += length;
        }
        bool afterBlank = file.RemovesBlanks;
        for (int i = 0; i < parts.Count; i++)
        {
            string made = parts[i].Text;
            while (afterBlank && made.StartsWith(' ')) made = made[1..];
            if (made.Length > 0 && file.RemovesBlanks) afterBlank = made.EndsWith(' ');
            parts[i] = parts[i] with { Text = made };
        }
        for (int i = parts.Count - 1; file.RemovesBlanks && i >= 0; i--)
        {
            parts[i] = parts[i] with { Text = parts[i].Text.TrimEnd(' ') };
            if (parts[i].Text.Length > 0) break;
        }
        var changed = parts.ToDictionary(part => part.Start, part => file.WritesBlanks
            ? part.Text.Replace(" ", Blank, StringComparison.Ordinal) : part.Text);
        AlignedText result =
            text.MapPlaced(parts.Select(part => (part.Start, part.Length)), (start, _) => changed[start]);
        if (!file.AddsBlank || result.Text.Length == 0) return result;
        string blank = file.WritesBlanks ? Blank : " ";
        return file.BlankEndsWord ? result.Append(blank) : result.Prepend(blank);
    }

    private (string Text, int Length) Part(string text, int at)
    {
        foreach (string piece in whole)
            if (string.CompareOrdinal(text, at, piece, 0, piece.Length) == 0) return (piece, piece.Length);
        if (file.Map?.Longest(text.AsSpan(at)) is { } found) return found;
        Rune.DecodeFromUtf16(text.AsSpan(at), out Rune rune, out int length);
        return (rune.ToString(), length);
    }
}

/// <summary>Decodes pieces like sentencepiece: ▁ becomes a space, except the one inserted before a text; control pieces
/// are skipped, unknown ones become their surface, and bytes become the characters they encode
/// (sentencepiece_processor.cc).</summary>
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
        if (isPiece && begins && (file.AddsBlank || file.RemovesBlanks)
            && text.StartsWith(Blank, StringComparison.Ordinal))
        {
            text = text[Blank.Length..];
            hadBlank = !file.RemovesBlanks; // where blanks are taken out, all those at the beginning are
        }
        if (isPiece) text = text.Replace(Blank, " ", StringComparison.Ordinal);
        if (hadBlank || text.Length > 0) begins = false;
        return text;
    }

    // One U+FFFD for each byte that is not part of a character; the tokenizers library instead replaces the whole run.
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
