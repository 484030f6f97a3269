namespace LowRank.Generation;

/// <summary>The formats of strings that are enforced, as regular expressions.</summary>
internal static class SchemaFormats
{
    private const string Date =
        "([0-9]{4}-(((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01]))|((0[469]|11)-(0[1-9]|[12][0-9]|30))" +
        "|(02-(0[1-9]|1[0-9]|2[0-8])))" +
        "|([0-9]{2}(0[48]|[2468][048]|[13579][26])|(0[048]|[2468][048]|[13579][26])00)-02-29)";

    private const string Time =
        "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])";

    private const string Byte = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
    private const string IPv4 = "(" + Byte + "\\.){3}" + Byte;
    private const string Group = "[0-9A-Fa-f]{1,4}";

    // A name has at most 253 characters: three long labels, or eight of medium length.
    private const string LongLabel = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?";
    private const string Label = "[A-Za-z0-9]([A-Za-z0-9-]{0,28}[A-Za-z0-9])?";
    private const string Host = "(" + LongLabel + "(\\." + LongLabel + "){0,2}|" + Label + "(\\." + Label + "){0,7})";
    private const string Atom = "[A-Za-z0-9!#$%&'*+/=?^_`\\{|}~-]+";

    private const string MixedIPv6 = "(" + Group + ":){6}" + IPv4 + "|::(" + Group + ":){0,5}" + IPv4 +
        "|" + Group + "::(" + Group + ":){0,4}" + IPv4 + "|(" + Group + ":){2}:(" + Group + ":){0,3}" + IPv4 +
        "|(" + Group + ":){3}:(" + Group + ":){0,2}" + IPv4 + "|(" + Group + ":){4}:(" + Group + ":)?" + IPv4 +
        "|(" + Group + ":){5}:" + IPv4;

    private const string IPv6 = MixedIPv6 + "|" +
        "(" + Group + ":){7}" + Group + "|(" + Group + ":){1,7}:|(" + Group + ":){1,6}:" + Group +
        "|(" + Group + ":){1,5}(:" + Group + "){1,2}|(" + Group + ":){1,4}(:" + Group + "){1,3}" +
        "|(" + Group + ":){1,3}(:" + Group + "){1,4}|(" + Group + ":){1,2}(:" + Group + "){1,5}" +
        "|" + Group + ":(:" + Group + "){1,6}|:((:" + Group + "){1,7}|:)";

    // Of RFC 3986: characters of a path, of a user's name, and of what is known about the host.
    private const string Plain = "A-Za-z0-9._~!$&'()*+,;=\\-";
    private const string Encoded = "%[0-9A-Fa-f]{2}";
    private const string PathCharacter = "([" + Plain + ":@]|" + Encoded + ")";
    private const string Authority = "(([" + Plain + ":]|" + Encoded + ")*@)?([" + Plain + "]|" + Encoded +
        ")*(:[0-9]*)?";
    private const string Uri = "[A-Za-z][A-Za-z0-9+.-]*:(//" + Authority + "(/" + PathCharacter + "*)*" +
        "|/(" + PathCharacter + "+(/" + PathCharacter + "*)*)?|(" + PathCharacter + "+(/" + PathCharacter + "*)*)?)" +
        "(\\?(" + PathCharacter + "|[/?])*)?(#(" + PathCharacter + "|[/?])*)?";

    private static readonly Dictionary<string, string> Patterns = new(StringComparer.Ordinal)
    {
        ["date"] = Date,
        ["time"] = Time,
        ["date-time"] = Date + "T" + Time,
        ["duration"] = "P([0-9]+W|[0-9]+Y([0-9]+M([0-9]+D)?)?|[0-9]+M([0-9]+D)?|[0-9]+D)" +
            "|P([0-9]+Y([0-9]+M([0-9]+D)?)?|[0-9]+M([0-9]+D)?|[0-9]+D)?" +
            "T([0-9]+H([0-9]+M([0-9]+S)?)?|[0-9]+M([0-9]+S)?|[0-9]+S)",
        ["email"] = Atom + "(\\." + Atom + ")*@" + Host,
        ["hostname"] = Host,
        ["ipv4"] = IPv4,
        ["ipv6"] = IPv6,
        ["uuid"] = "[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}",
        ["uri"] = Uri,
    };

    private static readonly Dictionary<string, Lazy<CharacterAutomaton>> Compiled = Patterns.ToDictionary(
        pattern => pattern.Key, pattern => new Lazy<CharacterAutomaton>(() => Compile(pattern.Value)),
        StringComparer.Ordinal);

    // Labels with "--" in the third place are names in another alphabet, encoded; most that look so are not valid.
    private static CharacterAutomaton Compile(string pattern)
    {
        CharacterAutomaton all = RegexAutomaton.Compile(pattern, isSearch: false);
        return pattern.Contains(Host, StringComparison.Ordinal)
            ? all.Without(RegexAutomaton.Compile(@"(^|[.@])[^.@]{2}--", isSearch: true)) : all;
    }

    /// <summary>The names of the formats.</summary>
    public static IEnumerable<string> Names => Patterns.Keys;

    /// <summary>The texts of a format; null if it is not known.</summary>
    public static CharacterAutomaton? Find(string name, WorkBudget budget) =>
        Compiled.GetValueOrDefault(name)?.Value.With(budget);
}
