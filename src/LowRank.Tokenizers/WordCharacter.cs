using System.Globalization;
using System.Text;

namespace LowRank.Tokenizers;

/// <summary>What \w means to the tokenizers library: letters, marks, decimal and letter numbers, connectors, circled
/// and squared letters (Unicode Technical Standard 18, annex C). .NET's own \w leaves out spacing marks.</summary>
internal static class WordCharacter
{
    /// <summary>Whether a character is one to Rust's regular expressions, which count joiners in.</summary>
    public static bool Is(Rune rune) => rune.Value is 0x200C or 0x200D || IsWithoutJoiners(rune);

    /// <summary>Whether a character is one to Oniguruma, which the patterns in files are written for.</summary>
    public static bool IsWithoutJoiners(Rune rune) => Rune.IsLetter(rune) || Rune.GetUnicodeCategory(rune)
        is UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.EnclosingMark
        or UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.ConnectorPunctuation
        || rune.Value is (>= 0x24B6 and <= 0x24E9) or (>= 0x1F130 and <= 0x1F149) or (>= 0x1F150 and <= 0x1F169)
        or (>= 0x1F170 and <= 0x1F189);
}
