using System.Globalization;
using System.Text;

namespace LowRank.Tokenization.Normalizers;

/// <summary>Changes of text that several normalizers use.</summary>
internal static class TextChanges
{
    /// <summary>Unicode's lower case, a character at a time; the one character that becomes two (İ) included.</summary>
    public static string Lower(string text) => text.ToLowerInvariant().Replace("İ", "i̇", StringComparison.Ordinal);

    /// <summary>Without combining marks of category Mn.</summary>
    public static string WithoutMarks(string text) =>
        Filter(text, rune => Rune.GetUnicodeCategory(rune) != UnicodeCategory.NonSpacingMark);

    /// <summary>Without combining marks of any category, which is what the StripAccents normalizer takes out.</summary>
    public static string WithoutAnyMarks(string text) => Filter(text, rune => Rune.GetUnicodeCategory(rune)
        is not (UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.EnclosingMark));

    /// <summary>sentencepiece's nmt rules: control characters removed, separators and zero-width spaces made blanks.</summary>
    public static string Nmt(string text)
    {
        string kept = Filter(text, rune => !(rune.Value is (>= 0x01 and <= 0x08) or 0x0B or (>= 0x0E and <= 0x1F) or 0x7F or 0x8F or 0x9F));
        return Map(kept, rune => rune.Value is 0x09 or 0x0A or 0x0C or 0x0D or 0x1680 or (>= 0x200B and <= 0x200F) or 0x2028 or 0x2029 or 0x2581 or 0xFEFF or 0xFFFD
            ? new Rune(' ') : rune);
    }

    /// <summary>Keeps the characters that pass.</summary>
    public static string Filter(string text, Func<Rune, bool> keep)
    {
        var result = new StringBuilder(text.Length);
        foreach (Rune rune in text.EnumerateRunes())
            if (keep(rune)) result.Append(rune);
        return result.ToString();
    }

    /// <summary>Replaces each character.</summary>
    public static string Map(string text, Func<Rune, Rune> replace)
    {
        var result = new StringBuilder(text.Length);
        foreach (Rune rune in text.EnumerateRunes()) result.Append(replace(rune));
        return result.ToString();
    }
}
