using System.Globalization;
using System.Text;

namespace LowRank.Tokenizers;

/// <summary>The meaning of \w in the tokenizers library: letters, marks, decimal and letter numbers, connectors,
/// circled and squared letters (Unicode Technical Standard 18, annex C). .NET's own \w excludes spacing
/// marks.</summary>
internal static class WordCharacter
{
    /// <summary>Whether Rust's regular expressions treat a character as a word character, which includes
    /// joiners.</summary>
    public static bool Is(Rune rune) => rune.Value is 0x200C or 0x200D || IsWithoutJoiners(rune);

    /// <summary>Whether Oniguruma, whose syntax the patterns in files use, treats a character as a word
    /// character.</summary>
    public static bool IsWithoutJoiners(Rune rune) => Rune.IsLetter(rune) || Rune.GetUnicodeCategory(rune)
        is UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.EnclosingMark
        or UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.ConnectorPunctuation
        || rune.Value is (>= 0x24B6 and <= 0x24E9) or (>= 0x1F130 and <= 0x1F149) or (>= 0x1F150 and <= 0x1F169)
        or (>= 0x1F170 and <= 0x1F189);
}
