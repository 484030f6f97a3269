using System.Text;
using LowRank.Tokenization.Normalizers;

namespace LowRank.Tokenization.SentencePiece;

/// <summary>sentencepiece's own normalizer: the longest entry of its map at each place, blanks at the edges and repeated ones
/// taken out, one put before the text, blanks written as ▁ (normalizer.cc).</summary>
internal sealed class SentencePieceNormalizer : INormalizer
{
    private const string Blank = "▁";
    private readonly SentencePieceFile file;
    private readonly string[] whole; // user-defined pieces, which stay as they are; the longest first

    public SentencePieceNormalizer(SentencePieceFile file)
    {
        this.file = file;
        whole = [.. file.Pieces.Where(piece => piece.Kind == PieceKind.UserDefined).Select(piece => piece.Text).OrderByDescending(text => text.Length)];
    }

    public string Normalize(string text, TextBudget? budget = null) => Align(AlignedText.Of(text, budget)).Text;

    public AlignedText Align(AlignedText text)
    {
        // Parts of the text and what becomes of each, before blanks are looked at.
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
        var changed = parts.ToDictionary(part => part.Start, part => file.WritesBlanks ? part.Text.Replace(" ", Blank, StringComparison.Ordinal) : part.Text);
        AlignedText result = text.MapPlaced(parts.Select(part => (part.Start, part.Length)), (start, _) => changed[start]);
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
