using System.Globalization;
using System.Text;
using LowRank.Tokenization.SentencePiece;

namespace LowRank.Tokenization.Normalizers;

/// <summary>sentencepiece's map of characters as the tokenizers library applies it: grapheme by grapheme where one is short,
/// else character by character.</summary>
internal sealed class PrecompiledNormalizer(CharacterMap map) : INormalizer
{
    private const int LongGrapheme = 6; // UTF-8 bytes from which on it is taken apart

    /// <summary>Reads the map of a tokenizer.json.</summary>
    public static PrecompiledNormalizer Read(ComponentJson json)
    {
        try
        {
            return new PrecompiledNormalizer(new CharacterMap(Convert.FromBase64String(json.TextOr("precompiled_charsmap", "")!), json.Place));
        }
        catch (FormatException e)
        {
            throw new InputException($"{json.Place}: precompiled_charsmap is not base64: {e.Message}", e);
        }
    }

    public string Normalize(string text, TextBudget? budget = null)
    {
        budget ??= new TextBudget(text.Length);
        var result = new StringBuilder(text.Length);
        foreach ((int start, int length) in Units(text))
        {
            result.Append(map.Shortest(text.AsSpan(start, length)) ?? text.Substring(start, length));
            budget.Check(result.Length);
        }
        return result.ToString();
    }

    public AlignedText Align(AlignedText text) => text.MapParts(Units(text.Text), part => map.Shortest(part) ?? part);

    // The parts that are looked up whole.
    private IEnumerable<(int Start, int Length)> Units(string text)
    {
        for (int at = 0; at < text.Length;)
        {
            int grapheme = StringInfo.GetNextTextElementLength(text.AsSpan(at));
            if (Encoding.UTF8.GetByteCount(text.AsSpan(at, grapheme)) < LongGrapheme && map.Shortest(text.AsSpan(at, grapheme)) is not null)
            {
                yield return (at, grapheme);
                at += grapheme;
                continue;
            }
            for (int end = at + grapheme; at < end;)
            {
                Rune.DecodeFromUtf16(text.AsSpan(at), out _, out int length);
                yield return (at, length);
                at += length;
            }
        }
    }
}
