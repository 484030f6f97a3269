using System.Globalization;
using System.Text;

namespace LowRank.Tokenizers.Patterns;

/// <summary>A set of characters, as whole code points even beyond U+FFFF.</summary>
internal sealed class CharacterClass
{
    private static readonly Rune[] Signs = [new('ſ'), new('\u212A'), new('\u212B')]; // the long s, Kelvin, Ångström
    private readonly Func<Rune, bool> holds;
    private readonly bool[] ascii = new bool[128];

    /// <summary>A set with the given members.</summary>
    public CharacterClass(Func<Rune, bool> holds)
    {
        this.holds = holds;
        for (int c = 0; c < ascii.Length; c++) ascii[c] = holds(new Rune(c));
    }

    /// <summary>All characters.</summary>
    public static CharacterClass Any { get; } = new(_ => true);

    /// <summary>Whether the set contains a character.</summary>
    public bool Contains(Rune rune) => rune.Value < 128 ? ascii[rune.Value] : holds(rune);

    /// <summary>A single character.</summary>
    public static CharacterClass Of(Rune single) => new(rune => rune == single);

    /// <summary>The characters in an inclusive range.</summary>
    public static CharacterClass Range(Rune first, Rune last) =>
        new(rune => rune.Value >= first.Value && rune.Value <= last.Value);

    /// <summary>The union of several sets.</summary>
    public static CharacterClass Union(IReadOnlyList<CharacterClass> parts)
    {
        if (parts.Count == 1) return parts[0];
        CharacterClass[] all = [.. parts];
        return new CharacterClass(rune => Array.Exists(all, part => part.Contains(rune)));
    }

    /// <summary>The intersection of two sets.</summary>
    public CharacterClass And(CharacterClass other) => new(rune => Contains(rune) && other.Contains(rune));

    /// <summary>The complement of the set.</summary>
    public CharacterClass Not() => new(rune => !Contains(rune));

    /// <summary>The set closed under case. The long s, Kelvin and Ångström signs count as s, k and å.</summary>
    public CharacterClass InAnyCase() => new(rune => Variants(rune).Any(Contains));

    private static IEnumerable<Rune> Variants(Rune rune)
    {
        yield return rune;
        foreach (Rune sign in Signs)
        {
            // Letters with simple case mappings in only one direction.
            Rune letter = rune == sign || Rune.ToLowerInvariant(rune) == Letter(sign) ? Letter(sign) : rune;
            if (letter == rune && rune != Letter(sign)) continue;
            yield return letter;
            yield return Rune.ToUpperInvariant(letter);
            yield return sign;
        }
        yield return Rune.ToLowerInvariant(rune);
        yield return Rune.ToUpperInvariant(rune);
    }

    private static Rune Letter(Rune sign) => new(sign.Value switch { 'ſ' => 's', '\u212A' => 'k', _ => 'å' });
}

/// <summary>The named sets in patterns: general categories, scripts, and POSIX bracket classes.</summary>
internal static class CharacterProperties
{
    // Two letters per category, in the order of UnicodeCategory.
    private const string Codes =
        "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Zs Zl Zp Cc Cf Cs Co Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Cn";

    private static readonly string[] Categories = Codes.Split(' ');

    private static readonly Dictionary<string, string> LongNames = new(StringComparer.Ordinal)
    {
        ["letter"] = "L", ["uppercaseletter"] = "Lu", ["lowercaseletter"] = "Ll", ["titlecaseletter"] = "Lt",
            ["casedletter"] = "LC",
        ["modifierletter"] = "Lm", ["otherletter"] = "Lo", ["mark"] = "M", ["nonspacingmark"] = "Mn",
            ["spacingmark"] = "Mc",
        ["enclosingmark"] = "Me", ["number"] = "N", ["decimalnumber"] = "Nd", ["letternumber"] = "Nl",
            ["othernumber"] = "No",
        ["punctuation"] = "P", ["punct"] = "P", ["connectorpunctuation"] = "Pc", ["dashpunctuation"] = "Pd",
            ["openpunctuation"] = "Ps",
        ["closepunctuation"] = "Pe", ["initialpunctuation"] = "Pi", ["finalpunctuation"] = "Pf",
            ["otherpunctuation"] = "Po", ["symbol"] = "S",
        ["mathsymbol"] = "Sm", ["currencysymbol"] = "Sc", ["modifiersymbol"] = "Sk", ["othersymbol"] = "So",
            ["separator"] = "Z",
        ["spaceseparator"] = "Zs", ["lineseparator"] = "Zl", ["paragraphseparator"] = "Zp", ["other"] = "C",
            ["control"] = "Cc",
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
        ["word"] = new(
            rune => WordCharacter.IsWithoutJoiners(rune)
            || rune.Value is 0xB2 or 0xB3 or 0xB9 or (>= 0xBC and <= 0xBE)),
    };

    /// <summary>White space.</summary>
    public static CharacterClass Space => Others["space"];

    /// <summary>Decimal digits of any script.</summary>
    public static CharacterClass Digit => Others["digit"];

    /// <summary>Hexadecimal digits.</summary>
    public static CharacterClass HexDigit => Others["xdigit"];

    /// <summary>Word characters. Oniguruma includes Latin-1's superscript digits and fractions, except in
    /// brackets.</summary>
    public static CharacterClass Word => Others["word"];

    /// <summary>Word characters in brackets.</summary>
    public static CharacterClass BracketWord { get; } = new(WordCharacter.IsWithoutJoiners);

    /// <summary>The set of <c>\p{NAME}</c>; null for an unknown name.</summary>
    public static CharacterClass? Find(string name)
    {
        string key = string.Concat(name.Where(c => c is not (' ' or '-' or '_'))).ToLowerInvariant();
        if (Others.TryGetValue(key, out CharacterClass? other)) return other;
        if (ScriptRanges.Find(key) is { } script) return script;
        return Category(
            LongNames.GetValueOrDefault(key, key.Length is 1 or 2 ? char.ToUpperInvariant(key[0]) + key[1..] : ""));
    }

    /// <summary>The set of <c>[:NAME:]</c>; null for an unknown name.</summary>
    public static CharacterClass? Bracket(string name) => name switch
    {
        "punct" => CharacterClass.Union([Category("P")!, Category("S")!]), // symbols too, unlike \p{Punct}
        "ascii" or "space" or "digit" or "xdigit" or "blank" or "cntrl" => Others[name],
        "word" => BracketWord,
        _ => null,
    };

    /// <summary>The names that <see cref="Find"/> knows, for messages.</summary>
    public static string Known =>
        $"general categories ({Codes}, their first letters, LC), scripts ({string.Join(' ', ScriptRanges.Names)}), " +
        $"{string.Join(' ', Others.Keys)}";

    private static CharacterClass? Category(string code)
    {
        if (code.Length == 0) return null;
        bool[] wanted =
            [.. Categories.Select(category => code == "Lc" || code == "LC" ? category is "Lu" or "Ll" or "Lt"
            : category.StartsWith(code, StringComparison.Ordinal))];
        return wanted.Contains(true) ? new CharacterClass(rune => wanted[(int)Rune.GetUnicodeCategory(rune)]) : null;
    }
}

/// <summary>The characters of the scripts that occur in split patterns, as hexadecimal ranges (Unicode 16's
/// Scripts.txt).</summary>
internal static class ScriptRanges
{
    private static readonly Dictionary<string, string> Ranges = new(StringComparer.Ordinal)
    {
        ["Han"] =
            "2E80-2E99 2E9B-2EF3 2F00-2FD5 3005 3007 3021-3029 3038-303B 3400-4DBF 4E00-9FFF F900-FA6D FA70-FAD9 " +
            "16FE2-16FE3 " +
            "16FF0-16FF1 20000-2A6DF 2A700-2B739 2B740-2B81D 2B820-2CEA1 2CEB0-2EBE0 2EBF0-2EE5D 2F800-2FA1D " +
                "30000-3134A " +
            "31350-323AF",
        ["Hiragana"] = "3041-3096 309D-309F 1B001-1B11F 1B132 1B150-1B152 1F200",
        ["Katakana"] =
            "30A1-30FA 30FD-30FF 31F0-31FF 32D0-32FE 3300-3357 FF66-FF6F FF71-FF9D 1AFF0-1AFF3 1AFF5-1AFFB " +
            "1AFFD-1AFFE 1B000 " +
            "1B120-1B122 1B155 1B164-1B167",
        ["Hangul"] =
            "1100-11FF 302E-302F 3131-318E 3200-321E 3260-327E A960-A97C AC00-D7A3 D7B0-D7C6 D7CB-D7FB FFA0-FFBE " +
            "FFC2-FFC7 " +
            "FFCA-FFCF FFD2-FFD7 FFDA-FFDC",
        ["Latin"] =
            "41-5A 61-7A AA BA C0-D6 D8-F6 F8-2B8 2E0-2E4 1D00-1D25 1D2C-1D5C 1D62-1D65 1D6B-1D77 1D79-1DBE " +
            "1E00-1EFF 2071 207F " +
            "2090-209C 212A-212B 2132 214E 2160-2188 2C60-2C7F A722-A787 A78B-A7CD A7D0-A7D1 A7D3 A7D5-A7DC " +
                "A7F2-A7FF AB30-AB5A " +
            "AB5C-AB64 AB66-AB69 FB00-FB06 FF21-FF3A FF41-FF5A 10780-10785 10787-107B0 107B2-107BA 1DF00-1DF1E " +
                "1DF25-1DF2A",
        ["Greek"] =
            "370-373 375-377 37A-37D 37F 384 386 388-38A 38C 38E-3A1 3A3-3E1 3F0-3FF 1D26-1D2A 1D5D-1D61 1D66-1D6A " +
            "1DBF 1F00-1F15 " +
            "1F18-1F1D 1F20-1F45 1F48-1F4D 1F50-1F57 1F59 1F5B 1F5D 1F5F-1F7D 1F80-1FB4 1FB6-1FC4 1FC6-1FD3 " +
                "1FD6-1FDB 1FDD-1FEF " +
            "1FF2-1FF4 1FF6-1FFE 2126 AB65 10140-1018E 101A0 1D200-1D245",
        ["Cyrillic"] = "400-484 487-52F 1C80-1C8A 1D2B 1D78 2DE0-2DFF A640-A69F FE2E-FE2F 1E030-1E06D 1E08F",
        ["Arabic"] =
            "600-604 606-60B 60D-61A 61C-61E 620-63F 641-64A 656-66F 671-6DC 6DE-6FF 750-77F 870-88E 890-891 " +
            "897-8E1 8E3-8FF " +
            "FB50-FBC2 FBD3-FD3D FD40-FD8F FD92-FDC7 FDCF FDF0-FDFF FE70-FE74 FE76-FEFC 10E60-10E7E 10EC2-10EC4 " +
                "10EFC-10EFF " +
            "1EE00-1EE03 1EE05-1EE1F 1EE21-1EE22 1EE24 1EE27 1EE29-1EE32 1EE34-1EE37 1EE39 1EE3B 1EE42 1EE47 1EE49 " +
                "1EE4B " +
            "1EE4D-1EE4F 1EE51-1EE52 1EE54 1EE57 1EE59 1EE5B 1EE5D 1EE5F 1EE61-1EE62 1EE64 1EE67-1EE6A 1EE6C-1EE72 " +
                "1EE74-1EE77 " +
            "1EE79-1EE7C 1EE7E 1EE80-1EE89 1EE8B-1EE9B 1EEA1-1EEA3 1EEA5-1EEA9 1EEAB-1EEBB 1EEF0-1EEF1",
        ["Hebrew"] = "591-5C7 5D0-5EA 5EF-5F4 FB1D-FB36 FB38-FB3C FB3E FB40-FB41 FB43-FB44 FB46-FB4F",
        ["Thai"] = "E01-E3A E40-E5B",
        ["Devanagari"] = "900-950 955-963 966-97F A8E0-A8FF 11B00-11B09",
    };

    private static readonly Dictionary<string, Lazy<CharacterClass>> Classes = Ranges.ToDictionary(
        script => script.Key.ToLowerInvariant(), script => new Lazy<CharacterClass>(() => Parse(script.Value)));

    /// <summary>The known scripts.</summary>
    public static IEnumerable<string> Names => Ranges.Keys;

    /// <summary>The characters of a script; null for an unknown one.</summary>
    /// <param name="name">In lower case.</param>
    public static CharacterClass? Find(string name) => Classes.GetValueOrDefault(name)?.Value;

    private static CharacterClass Parse(string ranges)
    {
        (int First, int Last)[] all =
            [.. ranges.Split(' ').Select(range => range.Split('-')).Select(ends => (Hex(ends[0]), Hex(ends[^1])))];
        int[] firsts = [.. all.Select(range => range.First)];
        return new CharacterClass(rune =>
        {
            int at = Array.BinarySearch(firsts, rune.Value);
            return at >= 0 || (~at > 0 && rune.Value <= all[~at - 1].Last);
        });
    }

    private static int Hex(string text) =>
        int.Parse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
}
