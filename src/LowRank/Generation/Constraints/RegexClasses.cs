using System.Collections.Concurrent;
using System.Globalization;
using System.Text;

namespace LowRank.Generation;

/// <summary>The named sets of characters in regular expressions.</summary>
internal static class RegexClasses
{
    private static readonly CharacterSet Digits = CharacterSet.Of(('0', '9'));
    private static readonly CharacterSet Word = CharacterSet.Of(('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z'));

    // WhiteSpace and LineTerminator of ECMA-262.
    private static readonly CharacterSet Space = CharacterSet.Of(
        (9, 13), (32, 32), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029), (0x202F, 0x202F),
        (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF));

    private static readonly string[] Categories =
        ["Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co",
            "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So", "Cn"]; // in the order of UnicodeCategory

    private static readonly Dictionary<string, string> LongNames = new(StringComparer.Ordinal)
    {
        ["Letter"] = "L", ["Uppercase_Letter"] = "Lu", ["Lowercase_Letter"] = "Ll", ["Mark"] = "M", ["Number"] = "N",
        ["Decimal_Number"] = "Nd", ["digit"] = "Nd", ["Punctuation"] = "P", ["Symbol"] = "S", ["Separator"] = "Z",
        ["Other"] = "C", ["Control"] = "Cc", ["cntrl"] = "Cc",
    };

    private static readonly ConcurrentDictionary<string, CharacterSet?> Known = new(StringComparer.Ordinal);

    /// <summary>Any character but line terminators.</summary>
    public static CharacterSet Dot { get; } =
        CharacterSet.All.Without(CharacterSet.Of(('\n', '\n'), ('\r', '\r'), (0x2028, 0x2029)));

    /// <summary>The class of a letter after a backslash; null if it is none.</summary>
    public static CharacterSet? Short(int letter) => letter switch
    {
        'd' => Digits,
        'D' => CharacterSet.All.Without(Digits),
        'w' => Word,
        'W' => CharacterSet.All.Without(Word),
        's' => Space,
        'S' => CharacterSet.All.Without(Space),
        _ => null,
    };

    /// <summary>The characters of a general category, such as L or Lu; null if it is not known.</summary>
    public static CharacterSet? Property(string name)
    {
        foreach (string prefix in new[] { "General_Category=", "gc=" })
            if (name.StartsWith(prefix, StringComparison.Ordinal)) name = name[prefix.Length..];
        string category = LongNames.GetValueOrDefault(name, name);
        bool exists = category.Length is 1 or 2
            && Array.Exists(Categories, known => known.StartsWith(category, StringComparison.Ordinal));
        return exists ? Known.GetOrAdd(category, Find) : null;
    }

    private static CharacterSet? Find(string category)
    {
        List<(int, int)> ranges = [];
        for (int value = 0; value <= CharacterSet.Largest; value++)
            if (Rune.IsValid(value) && Categories[(int)CharUnicodeInfo.GetUnicodeCategory(value)]
                .StartsWith(category, StringComparison.Ordinal))
                ranges.Add((value, value));
        return CharacterSet.Of(ranges);
    }
}
