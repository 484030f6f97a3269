using System.Globalization;
using System.Text;

namespace LowRank.Generation;

/// <summary>Reads regular expressions of the kind that a finite automaton can match: no look-around, no backreferences,
/// no word boundaries.</summary>
/// <remarks>Meanings are those of ECMA-262 with the flag u, which JSON Schema asks for: <c>.</c> is any character but a
/// line terminator, <c>\d</c> and <c>\w</c> are ASCII, <c>\s</c> is Unicode's white space.</remarks>
internal sealed class RegexParser
{
    private const int MostNested = 100;
    private const int MostRepeated = 1000;
    private const int MostCharacters = 10_000;

    private readonly string pattern;
    private readonly int[] text; // code points
    private int at, nested;

    private RegexParser(string pattern)
    {
        this.pattern = pattern;
        text = [.. pattern.EnumerateRunes().Select(rune => rune.Value)];
    }

    /// <summary>Reads a pattern.</summary>
    /// <exception cref="InputException">The pattern is not valid or not supported; says at which character.</exception>
    public static RegexNode Parse(string pattern)
    {
        if (pattern.Length > MostCharacters)
            throw new InputException(
                $"has {pattern.Length} characters, expected at most {MostCharacters}");
        var parser = new RegexParser(pattern);
        RegexNode node = parser.Alternation();
        return parser.at == parser.text.Length ? node : throw parser.Error("')' closes nothing");
    }

    private RegexNode Alternation()
    {
        if (++nested > MostNested) throw Error($"groups are nested more than {MostNested} deep");
        List<RegexNode> parts = [Sequence()];
        while (Take('|')) parts.Add(Sequence());
        nested--;
        return parts.Count == 1 ? parts[0] : new RegexNode.Alternation(parts);
    }

    private RegexNode.Concatenation Sequence()
    {
        List<RegexNode> parts = [];
        while (at < text.Length && text[at] is not ('|' or ')')) parts.Add(Quantified());
        return new RegexNode.Concatenation(parts);
    }

    private RegexNode Quantified()
    {
        int start = at;
        RegexNode node = Atom();
        int repeated = 0;
        while (Quantifier() is var (least, most))
        {
            if (node is RegexNode.Start or RegexNode.End || repeated++ > 0)
                throw Error("a quantifier has nothing to repeat", start);
            node = new RegexNode.Repetition(node, least, most);
            if (Take('+')) throw Error("possessive quantifiers are not supported");
            Take('?'); // which match is preferred makes no difference here
        }
        return node;
    }

    private (int Least, int? Most)? Quantifier()
    {
        if (Take('*')) return (0, null);
        if (Take('+')) return (1, null);
        if (Take('?')) return (0, 1);
        if (at >= text.Length || text[at] != '{') return null;
        int start = at++;
        if (Number() is not { } least) throw Error("expected a number after '{'; a literal brace is \\{", start);
        int? most = !Take(',') ? least : at < text.Length && text[at] == '}' ? null
            : Number() ?? throw Error("expected a number or '}'");
        if (!Take('}')) throw Error("expected '}'");
        if (most < least) throw Error($"{{{least},{most}}} is out of order", start);
        return (least, most);
    }

    private int? Number()
    {
        int start = at, value = 0;
        for (; at < text.Length && text[at] is >= '0' and <= '9'; at++)
            if ((value = value * 10 + text[at] - '0') > MostRepeated)
                throw Error($"a part is repeated more than {MostRepeated} times", start);
        return at > start ? value : null;
    }

    private RegexNode Atom()
    {
        int start = at;
        int character = text[at++];
        return character switch
        {
            '(' => Group(start),
            '[' => new RegexNode.Character(Brackets(start)),
            '.' => new RegexNode.Character(RegexClasses.Dot),
            '^' => new RegexNode.Start(),
            '$' => new RegexNode.End(),
            '\\' => Escaped(start),
            '*' or '+' or '?' or '{' => throw Error("a quantifier has nothing to repeat", start),
            _ => new RegexNode.Character(CharacterSet.Of(character)),
        };
    }

    private RegexNode Group(int start)
    {
        if (Take('?'))
        {
            bool isName = at + 1 < text.Length && text[at] == '<' && text[at + 1] is not ('=' or '!');
            if (Take('P') || isName) Name(start);
            else if (!Take(':'))
                throw Error("of groups that begin with (?, only (?:…) and (?<name>…) are supported; look-around and " +
                    "flags are not", start);
        }
        RegexNode inner = Alternation();
        return Take(')') ? inner : throw Error("'(' is not closed", start);
    }

    private void Name(int start)
    {
        if (!Take('<')) throw Error("expected a group's name in <>", start);
        while (at < text.Length && text[at] != '>') at++;
        if (!Take('>')) throw Error("the group's name is not closed", start);
    }

    private RegexNode Escaped(int start)
    {
        if (at >= text.Length) throw Error("'\\' ends the expression", start);
        if (text[at] is 'b' or 'B') throw Error("word boundaries are not supported", start);
        if (text[at] is 'A') return Skip(new RegexNode.Start());
        if (text[at] is 'z' or 'Z') return Skip(new RegexNode.End());
        if (text[at] is (>= '1' and <= '9') or 'k') throw Error("backreferences are not supported", start);
        return new RegexNode.Character(Class(start) ?? CharacterSet.Of(EscapedCharacter(start)));
    }

    private RegexNode Skip(RegexNode node)
    {
        at++;
        return node;
    }

    // \d, \w, \s, \p{…} and their opposites, after the backslash.
    private CharacterSet? Class(int start)
    {
        if (RegexClasses.Short(text[at]) is { } set)
        {
            at++;
            return set;
        }
        if (text[at] is not ('p' or 'P')) return null;
        bool isOpposite = text[at++] == 'P';
        if (!Take('{')) throw Error("expected a property in braces, as in \\p{L}", start);
        int first = at;
        while (at < text.Length && text[at] != '}') at++;
        string name = Text(first, at);
        if (!Take('}')) throw Error("the property is not closed", start);
        CharacterSet property = RegexClasses.Property(name)
            ?? throw Error($"the property {name} is not known; general categories such as L, Lu and Nd are", start);
        return isOpposite ? CharacterSet.All.Without(property) : property;
    }

    private int EscapedCharacter(int start)
    {
        int character = text[at++];
        return character switch
        {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'f' => '\f',
            'v' => '\v',
            '0' => 0,
            'a' => '\a',
            'c' when at < text.Length && text[at] < 128 && char.IsAsciiLetter((char)text[at]) => text[at++] % 32,
            'x' => Take('{') ? Braced(start) : Hexadecimal(2, start),
            'u' => Take('{') ? Braced(start) : Unit(start),
            < 128 when char.IsAsciiLetterOrDigit((char)character) =>
                throw Error($"\\{(char)character} is not supported", start),
            _ => character,
        };
    }

    private int Unit(int start)
    {
        int unit = Hexadecimal(4, start);
        if (unit is < 0xD800 or > 0xDFFF) return unit;
        if (unit <= 0xDBFF && Take('\\') && Take('u') && Hexadecimal(4, start) is >= 0xDC00 and <= 0xDFFF and int low)
            return 0x10000 + ((unit - 0xD800) << 10) + low - 0xDC00;
        throw Error("half of a surrogate pair stands alone", start);
    }

    private int Hexadecimal(int digits, int start)
    {
        if (at + digits > text.Length || !int.TryParse(Text(at, at + digits), NumberStyles.AllowHexSpecifier,
            CultureInfo.InvariantCulture, out int value))
            throw Error($"expected {digits} hexadecimal digits", start);
        at += digits;
        return value;
    }

    private int Braced(int start)
    {
        int first = at;
        while (at < text.Length && text[at] != '}') at++;
        bool isNumber = at - first is > 0 and <= 6 && int.TryParse(Text(first, at), NumberStyles.AllowHexSpecifier,
            CultureInfo.InvariantCulture, out int value) && Rune.IsValid(value);
        if (!isNumber || !Take('}')) throw Error("expected a code point in braces", start);
        return int.Parse(Text(first, at - 1), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
    }

    private CharacterSet Brackets(int start)
    {
        bool isOpposite = Take('^');
        List<(int, int)> ranges = [];
        CharacterSet set = CharacterSet.None;
        while (!Take(']'))
        {
            if (at >= text.Length) throw Error("'[' is not closed", start);
            if (text[at] == '[' && at + 1 < text.Length && text[at + 1] == ':')
                throw Error("classes such as [:alpha:] are not supported");
            int from = at;
            (int low, CharacterSet? several) = Item();
            if (several is not null)
            {
                set = set.Or(several);
                continue;
            }
            if (at + 1 >= text.Length || text[at] != '-' || text[at + 1] == ']')
            {
                ranges.Add((low, low));
                continue;
            }
            at++;
            (int high, CharacterSet? classAfter) = Item();
            if (classAfter is not null) throw Error("a range ends in a class", from);
            if (high < low) throw Error("a range is out of order", from);
            ranges.Add((low, high));
        }
        set = set.Or(CharacterSet.Of(ranges));
        return isOpposite ? CharacterSet.All.Without(set) : set;
    }

    private (int Character, CharacterSet? Set) Item()
    {
        int start = at, character = text[at++];
        if (character != '\\') return (character, null);
        if (at >= text.Length) throw Error("'\\' ends the expression", start);
        if (text[at] == 'b') return Skipped('\b');
        if (text[at] == '-') return Skipped('-');
        return Class(start) is { } set ? (0, set) : (EscapedCharacter(start), null);
    }

    private (int, CharacterSet?) Skipped(int character)
    {
        at++;
        return (character, null);
    }

    private bool Take(char expected)
    {
        if (at >= text.Length || text[at] != expected) return false;
        at++;
        return true;
    }

    private string Text(int first, int end) =>
        string.Concat(text[first..end].Select(value => new Rune(value).ToString()));

    private InputException Error(string problem, int? place = null) =>
        new($"\"{pattern}\" cannot be used: {problem} (character {(place ?? at) + 1})");
}
