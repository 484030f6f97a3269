using System.Globalization;
using System.Text;

namespace LowRank.Tokenization.Patterns;

/// <summary>The sets that patterns name: general categories, scripts, and the classes in brackets.</summary>
internal static class CharacterProperties
{
    // Two letters a category in the order of UnicodeCategory.
    private const string Codes = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Zs Zl Zp Cc Cf Cs Co Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Cn";

    private static readonly string[] Categories = Codes.Split(' ');

    private static readonly Dictionary<string, string> LongNames = new(StringComparer.Ordinal)
    {
        ["letter"] = "L", ["uppercaseletter"] = "Lu", ["lowercaseletter"] = "Ll", ["titlecaseletter"] = "Lt", ["casedletter"] = "LC",
        ["modifierletter"] = "Lm", ["otherletter"] = "Lo", ["mark"] = "M", ["nonspacingmark"] = "Mn", ["spacingmark"] = "Mc",
        ["enclosingmark"] = "Me", ["number"] = "N", ["decimalnumber"] = "Nd", ["letternumber"] = "Nl", ["othernumber"] = "No",
        ["punctuation"] = "P", ["punct"] = "P", ["connectorpunctuation"] = "Pc", ["dashpunctuation"] = "Pd", ["openpunctuation"] = "Ps",
        ["closepunctuation"] = "Pe", ["initialpunctuation"] = "Pi", ["finalpunctuation"] = "Pf", ["otherpunctuation"] = "Po", ["symbol"] = "S",
        ["mathsymbol"] = "Sm", ["currencysymbol"] = "Sc", ["modifiersymbol"] = "Sk", ["othersymbol"] = "So", ["separator"] = "Z",
        ["spaceseparator"] = "Zs", ["lineseparator"] = "Zl", ["paragraphseparator"] = "Zp", ["other"] = "C", ["control"] = "Cc",
        ["format"] = "Cf", ["privateuse"] = "Co", ["unassigned"] = "Cn",
    };

    private static readonly Dictionary<string, CharacterClass> Others = new(StringComparer.Ordinal)
    {
        ["any"] = CharacterClass.Any,
        ["ascii"] = new(rune => rune.IsAscii),
        ["space"] = new(Rune.IsWhiteSpace),
        ["whitespace"] = new(Rune.IsWhiteSpace),
        ["digit"] = Category("Nd")!,
        ["xdigit"] = new(rune => rune.IsAscii && char.IsAsciiHexDigit((char)rune.Value)),
        ["blank"] = new(rune => rune.Value == '\t' || Rune.GetUnicodeCategory(rune) == UnicodeCategory.SpaceSeparator),
        ["cntrl"] = Category("Cc")!,
        ["word"] = new(rune => WordCharacter.IsWithoutJoiners(rune) || rune.Value is 0xB2 or 0xB3 or 0xB9 or (>= 0xBC and <= 0xBE)),
    };

    /// <summary>White space.</summary>
    public static CharacterClass Space => Others["space"];

    /// <summary>Decimal digits of any script.</summary>
    public static CharacterClass Digit => Others["digit"];

    /// <summary>Hexadecimal digits.</summary>
    public static CharacterClass HexDigit => Others["xdigit"];

    /// <summary>Word characters. Oniguruma counts Latin-1's raised digits and fractions in, but not in brackets.</summary>
    public static CharacterClass Word => Others["word"];

    /// <summary>Word characters as brackets hold them.</summary>
    public static CharacterClass BracketWord { get; } = new(WordCharacter.IsWithoutJoiners);

    /// <summary>The set of <c>\p{NAME}</c>; null for a name that is not known here.</summary>
    public static CharacterClass? Find(string name)
    {
        string key = string.Concat(name.Where(c => c is not (' ' or '-' or '_'))).ToLowerInvariant();
        if (Others.TryGetValue(key, out CharacterClass? other)) return other;
        if (ScriptRanges.Find(key) is { } script) return script;
        return Category(LongNames.GetValueOrDefault(key, key.Length is 1 or 2 ? char.ToUpperInvariant(key[0]) + key[1..] : ""));
    }

    /// <summary>The set of <c>[:NAME:]</c>; null for a name that is not known here.</summary>
    public static CharacterClass? Bracket(string name) => name switch
    {
        "punct" => CharacterClass.Union([Category("P")!, Category("S")!]), // symbols too, unlike \p{Punct}
        "ascii" or "space" or "digit" or "xdigit" or "blank" or "cntrl" => Others[name],
        "word" => BracketWord,
        _ => null,
    };

    /// <summary>The names that <see cref="Find"/> knows, for messages.</summary>
    public static string Known => $"general categories ({Codes}, their first letters, LC), scripts ({string.Join(' ', ScriptRanges.Names)}), {string.Join(' ', Others.Keys)}";

    private static CharacterClass? Category(string code)
    {
        if (code.Length == 0) return null;
        bool[] wanted = [.. Categories.Select(category => code == "Lc" || code == "LC" ? category is "Lu" or "Ll" or "Lt" : category.StartsWith(code, StringComparison.Ordinal))];
        return wanted.Contains(true) ? new CharacterClass(rune => wanted[(int)Rune.GetUnicodeCategory(rune)]) : null;
    }
}
