using System.Globalization;
using System.Text;

namespace LowRank.Tokenization;

/// <summary>What \w means to the tokenizers library: letters, marks, decimal and letter numbers, connectors, joiners, and
/// circled letters (Unicode Technical Standard 18, annex C). .NET's own \w leaves out spacing marks.</summary>
internal static class WordCharacter
{
    /// <summary>Whether a character is one.</summary>
    public static bool Is(Rune rune) => rune.Value is 0x200C or 0x200D or (>= 0x24B6 and <= 0x24E9) || Rune.IsLetter(rune) || Rune.GetUnicodeCategory(rune)
        is UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.EnclosingMark
        or UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.ConnectorPunctuation;
}
