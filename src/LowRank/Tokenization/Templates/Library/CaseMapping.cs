using System.Globalization;
using System.Text;

namespace LowRank.Tokenization.Templates.Library;

/// <summary>Upper, lower and title case as Python maps them: by Unicode's full mappings, whatever the culture.</summary>
internal static class CaseMapping
{
    /// <summary>Python's <c>upper</c>.</summary>
    public static string Upper(string text) => Map(text, (result, rune, _) => AppendUpper(result, rune));

    /// <summary>Python's <c>lower</c>.</summary>
    public static string Lower(string text) => Map(text, (result, rune, index) => AppendLower(result, rune, text, index));

    /// <summary>Python's <c>capitalize</c>: the first character in title case, the others in lower case.</summary>
    public static string Capitalize(string text) => Map(text, (result, rune, index) =>
    {
        if (index == 0)
        {
            AppendTitle(result, rune);
        }
        else
        {
            AppendLower(result, rune, text, index);
        }
    });

    /// <summary>Python's <c>title</c>: a letter after a letter in lower case, any other in title case.</summary>
    public static string Title(string text)
    {
        var inWord = false;
        return Map(text, (result, rune, index) =>
        {
            if (inWord)
            {
                AppendLower(result, rune, text, index);
            }
            else
            {
                AppendTitle(result, rune);
            }

            inWord = IsCased(rune);
        });
    }

    /// <summary>Python's <c>swapcase</c>.</summary>
    public static string Swap(string text) => Map(text, (result, rune, index) =>
    {
        if (Rune.IsUpper(rune))
        {
            AppendLower(result, rune, text, index);
        }
        else if (Rune.IsLower(rune))
        {
            AppendUpper(result, rune);
        }
        else
        {
            result.Append(rune.ToString());
        }
    });

    /// <summary>Python's <c>isupper</c>.</summary>
    public static bool IsUpper(string text) =>
        text.EnumerateRunes().Any(Rune.IsUpper) && !text.EnumerateRunes().Any(rune => IsCased(rune) && !Rune.IsUpper(rune));

    /// <summary>Python's <c>islower</c>.</summary>
    public static bool IsLower(string text) =>
        text.EnumerateRunes().Any(Rune.IsLower) && !text.EnumerateRunes().Any(rune => IsCased(rune) && !Rune.IsLower(rune));

    /// <summary>Python's <c>istitle</c>.</summary>
    public static bool IsTitle(string text)
    {
        var inWord = false;
        var any = false;
        foreach (var rune in text.EnumerateRunes())
        {
            var isLower = Rune.IsLower(rune);
            var isCased = IsCased(rune);
            if (isCased && isLower != inWord)
            {
                return false;
            }

            inWord = isCased;
            any |= isCased;
        }

        return any;
    }

    private static bool Any(this StringRuneEnumerator runes, Func<Rune, bool> condition)
    {
        foreach (var rune in runes)
        {
            if (condition(rune))
            {
                return true;
            }
        }

        return false;
    }

    private static bool IsCased(Rune rune) => Rune.GetUnicodeCategory(rune) is UnicodeCategory.UppercaseLetter
        or UnicodeCategory.LowercaseLetter or UnicodeCategory.TitlecaseLetter;

    private static string Map(string text, Action<StringBuilder, Rune, int> append)
    {
        var result = new StringBuilder(text.Length);
        for (var i = 0; i < text.Length;)
        {
            // Half of a pair standing alone has no case and stays.
            if (!Rune.TryGetRuneAt(text, i, out var rune))
            {
                result.Append(text[i++]);
                continue;
            }

            append(result, rune, i);
            i += rune.Utf16SequenceLength;
        }

        return result.ToString();
    }

    private static void AppendUpper(StringBuilder result, Rune rune) => result.Append(
        rune.IsBmp && CaseTables.Upper.TryGetValue((char)rune.Value, out var special) ? special
        : rune.Value == '\u0131' ? "I"
        : rune.Value == '\u017f' ? "S"
        : Rune.ToUpperInvariant(rune).ToString());

    private static void AppendTitle(StringBuilder result, Rune rune)
    {
        if (rune.IsBmp && CaseTables.Title.TryGetValue((char)rune.Value, out var special))
        {
            result.Append(special);
        }
        else if (rune.Value is >= 0x10d0 and <= 0x10ff)
        {
            result.Append((char)rune.Value);
        }
        else
        {
            AppendUpper(result, rune);
        }
    }

    private static void AppendLower(StringBuilder result, Rune rune, string text, int index) => result.Append(rune.Value switch
    {
        '\u0130' => "i\u0307",
        '\u03a3' => IsFinal(text, index) ? "\u03c2" : "\u03c3",
        _ => Rune.ToLowerInvariant(rune).ToString(),
    });

    // Unicode's Final_Sigma: a cased letter before it and none after it, marks and the like not counted.
    private static bool IsFinal(string text, int index)
    {
        var before = index - 1;
        while (before >= 0 && IsIgnored(text[before]))
        {
            before--;
        }

        var after = index + 1;
        while (after < text.Length && IsIgnored(text[after]))
        {
            after++;
        }

        return before >= 0 && IsCasedAt(text, before) && !(after < text.Length && IsCasedAt(text, after));
    }

    private static bool IsCasedAt(string text, int index)
    {
        var start = index > 0 && char.IsLowSurrogate(text[index]) ? index - 1 : index;
        return Rune.TryGetRuneAt(text, start, out var rune) && IsCased(rune);
    }

    private static bool IsIgnored(char character) => character is '\'' or '.' or ':' or '\u00b7' or '\u2019' or '\u2018'
        || char.GetUnicodeCategory(character) is UnicodeCategory.NonSpacingMark or UnicodeCategory.EnclosingMark
            or UnicodeCategory.Format or UnicodeCategory.ModifierLetter or UnicodeCategory.ModifierSymbol;
}
