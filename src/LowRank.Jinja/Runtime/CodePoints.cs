using System.Globalization;
using System.Text;

namespace LowRank.Jinja;

/// <summary>
/// Strings measured in code points, as in Python: a character outside the basic plane counts as two in .NET and as one
/// here. </summary>
internal static class CodePoints
{
    /// <summary>The number of code points in a text.</summary>
    public static int Length(string text) => IsPlain(text) ? text.Length : Starts(text).Count;

    /// <summary>The code points, each as a separate text.</summary>
    public static IEnumerable<object> Each(string text)
    {
        for (var i = 0; i < text.Length;)
        {
            var length = WidthAt(text, i);
            yield return text.Substring(i, length);
            i += length;
        }
    }

    /// <summary>The code point at a position, or null if there is none; negative positions count from the
    /// end.</summary>
    public static string? At(string text, long index)
    {
        if (IsPlain(text))
        {
            index = index < 0 ? index + text.Length : index;
            return index < 0 || index >= text.Length ? null : text[(int)index].ToString();
        }

        var starts = Starts(text);
        index = index < 0 ? index + starts.Count : index;
        return index < 0 || index >= starts.Count
            ? null
            : text.Substring(starts[(int)index], WidthAt(text, starts[(int)index]));
    }

    /// <summary>A slice.</summary>
    public static string Slice(string text, SliceRange range)
    {
        if (range.Count == 0)
        {
            return "";
        }

        var plain = IsPlain(text);
        if (plain && range.Step == 1)
        {
            return text.Substring((int)range.Start, (int)range.Count);
        }

        var starts = plain ? null : Starts(text);
        var result = new StringBuilder();
        for (long i = 0; i < range.Count; i++)
        {
            var place = (int)(range.Start + (i * range.Step));
            var start = starts is null ? place : starts[place];
            result.Append(text, start, WidthAt(text, start));
        }

        return result.ToString();
    }

    /// <summary>The number of code points before a position in UTF-16 characters.</summary>
    public static int CountBefore(string text, int offset) => IsPlain(text) ? offset : Length(text[..offset]);

    /// <summary>The position of a code point in UTF-16 characters; the end of the text for any beyond it.</summary>
    public static int Offset(string text, long index)
    {
        if (IsPlain(text))
        {
            return (int)Math.Min(index, text.Length);
        }

        var starts = Starts(text);
        return index >= starts.Count ? text.Length : starts[(int)index];
    }

    /// <summary>Compares by code points.</summary>
    public static int Compare(string left, string right)
    {
        var length = Math.Min(left.Length, right.Length);
        for (var i = 0; i < length; i++)
        {
            if (left[i] != right[i])
            {
                return Rank(left[i]) - Rank(right[i]);
            }
        }

        return left.Length - right.Length;
    }

    // Surrogates encode code points above all other characters, but their own values lie below U+E000.
    private static int Rank(char character) => char.IsSurrogate(character) ? character + 0x10000 : character;

    private static bool IsPlain(string text) => !text.AsSpan().ContainsAnyInRange('\uD800', '\uDFFF');

    private static int WidthAt(string text, int index) => char.IsSurrogatePair(text, index) ? 2 : 1;

    private static List<int> Starts(string text)
    {
        var starts = new List<int>(text.Length);
        for (var i = 0; i < text.Length; i += WidthAt(text, i))
        {
            starts.Add(i);
        }

        return starts;
    }
}

/// <summary>The character classes of Python's <c>str</c>.</summary>
internal static class Characters
{
    /// <summary>Python's <c>isspace</c> for one character; the same as in <c>strip</c> and the regular expression
    /// <c>\s</c>.</summary>
    public static bool IsSpace(char character) => character is >= '\x1c' and <= '\x1f' || char.IsWhiteSpace(character);

    /// <summary>Whether <c>splitlines</c> ends a line here.</summary>
    public static bool IsLineEnd(char character) => character is '\n' or '\r' or '\v' or '\f'
        or >= '\x1c' and <= '\x1e' or '\x85' or '\u2028' or '\u2029';

    /// <summary>Whether <c>repr</c> writes the character unchanged.</summary>
    public static bool IsPrintable(Rune rune) => rune.Value == ' ' || Rune.GetUnicodeCategory(rune) is not (
        UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse
        or UnicodeCategory.OtherNotAssigned or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator
        or UnicodeCategory.SpaceSeparator);

    /// <summary>Whether a name may begin with the character.</summary>
    public static bool BeginsName(Rune rune) => rune.Value == '_' || Rune.GetUnicodeCategory(rune) is
        UnicodeCategory.UppercaseLetter or UnicodeCategory.LowercaseLetter or UnicodeCategory.TitlecaseLetter
        or UnicodeCategory.ModifierLetter or UnicodeCategory.OtherLetter or UnicodeCategory.LetterNumber;

    /// <summary>Whether a name may continue with the character.</summary>
    public static bool ContinuesName(Rune rune) => BeginsName(rune) || Rune.GetUnicodeCategory(rune) is
        UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.DecimalDigitNumber
        or UnicodeCategory.ConnectorPunctuation;

    /// <summary>Removes spaces from both ends, or from one.</summary>
    public static string Trim(string text, bool start = true, bool end = true)
    {
        var from = 0;
        var to = text.Length;
        while (start && from < to && IsSpace(text[from]))
        {
            from++;
        }

        while (end && to > from && IsSpace(text[to - 1]))
        {
            to--;
        }

        return text[from..to];
    }
}
