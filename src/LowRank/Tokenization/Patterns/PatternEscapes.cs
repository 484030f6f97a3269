using System.Text;

namespace LowRank.Tokenization.Patterns;

/// <summary>What a backslash introduces.</summary>
internal static class PatternEscapes
{
    /// <summary>A class such as <c>\s</c> or <c>\p{L}</c>; null, with nothing taken, where something else follows.</summary>
    /// <param name="text">The pattern.</param>
    /// <param name="inBrackets">Whether it stands in brackets.</param>
    /// <exception cref="FormatException">The property is not known.</exception>
    public static CharacterClass? Class(PatternText text, bool inBrackets)
    {
        CharacterClass word = inBrackets ? CharacterProperties.BracketWord : CharacterProperties.Word;
        if (text.Take("\\s")) return CharacterProperties.Space;
        if (text.Take("\\S")) return CharacterProperties.Space.Not();
        if (text.Take("\\d")) return CharacterProperties.Digit;
        if (text.Take("\\D")) return CharacterProperties.Digit.Not();
        if (text.Take("\\w")) return word;
        if (text.Take("\\W")) return word.Not();
        if (text.Take("\\h")) return CharacterProperties.HexDigit;
        if (text.Take("\\H")) return CharacterProperties.HexDigit.Not();
        bool isNegated = text.Take("\\P{");
        if (!isNegated && !text.Take("\\p{")) return null;
        if (text.Take("^")) isNegated = !isNegated;
        string name = text.TakeUntil("}");
        CharacterClass named = CharacterProperties.Find(name)
            ?? throw new FormatException($"\\p{{{name}}} is not known; expected {CharacterProperties.Known}");
        return isNegated ? named.Not() : named;
    }

    /// <summary>A character behind a backslash.</summary>
    /// <exception cref="FormatException">The escape stands for something that is not supported.</exception>
    public static Rune Character(PatternText text)
    {
        if (!text.Take("\\")) throw new InvalidOperationException("no backslash is here");
        if (text.Take("x{"))
        {
            Rune named = text.TakeHex(8);
            return text.Take("}") ? named : throw new FormatException("\\x{…} is not closed");
        }
        if (text.Take("x")) return text.TakeHex(2);
        if (text.Take("u")) return text.TakeHex(4);
        Rune letter = text.TakeRune();
        return letter.Value switch
        {
            'n' => new Rune('\n'),
            'r' => new Rune('\r'),
            't' => new Rune('\t'),
            'f' => new Rune('\f'),
            'v' => new Rune('\v'),
            'a' => new Rune('\a'),
            'e' => new Rune('\u001B'),
            '0' => new Rune('\0'),
            >= '1' and <= '9' or (>= 'A' and <= 'Z') or (>= 'a' and <= 'z') => throw new FormatException($"\\{letter} is not supported"),
            _ => letter,
        };
    }
}
