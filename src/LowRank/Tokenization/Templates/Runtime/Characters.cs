using System.Globalization;
using System.Text;

namespace LowRank.Tokenization.Templates.Runtime;

/// <summary>Classes of characters as Python's <c>str</c> knows them.</summary>
internal static class Characters
{
    /// <summary>Python's <c>isspace</c> of one character; also what <c>strip</c> and the regular expression <c>\s</c> take.</summary>
    public static bool IsSpace(char character) => character is >= '\x1c' and <= '\x1f' || char.IsWhiteSpace(character);

    /// <summary>Whether <c>splitlines</c> ends a line here.</summary>
    public static bool IsLineEnd(char character) => character is '\n' or '\r' or '\v' or '\f'
        or >= '\x1c' and <= '\x1e' or '\x85' or '\u2028' or '\u2029';

    /// <summary>Whether <c>repr</c> writes the character as it is.</summary>
    public static bool IsPrintable(Rune rune) => rune.Value == ' ' || Rune.GetUnicodeCategory(rune) is not (
        UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse
        or UnicodeCategory.OtherNotAssigned or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator
        or UnicodeCategory.SpaceSeparator);

    /// <summary>Whether a name may begin with the character.</summary>
    public static bool BeginsName(Rune rune) => rune.Value == '_' || Rune.GetUnicodeCategory(rune) is
        UnicodeCategory.UppercaseLetter or UnicodeCategory.LowercaseLetter or UnicodeCategory.TitlecaseLetter
        or UnicodeCategory.ModifierLetter or UnicodeCategory.OtherLetter or UnicodeCategory.LetterNumber;

    /// <summary>Whether a name may go on with the character.</summary>
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
