using System.Globalization;
using System.Text;

namespace LowRank.Tokenizers.Patterns;

/// <summary>Parses a regular expression. Unknown syntax is an error, because a misinterpreted pattern would silently
/// split texts wrongly.</summary>
internal sealed class PatternParser(string pattern)
{
    private const int MostGroups = 100; // inside one another: each is a call on the stack
    private const int MostTimes = 1000;
    private readonly PatternText text = new(pattern);
    private int depth;

    /// <summary>The whole pattern.</summary>
    /// <exception cref="FormatException">The pattern is malformed or uses unsupported syntax.</exception>
    public PatternNode Parse()
    {
        PatternNode all = Choice(default);
        return text.IsAtEnd ? all : throw new FormatException($"the \")\" at {text.At} closes nothing");
    }

    private PatternNode Choice(PatternFlags flags)
    {
        if (++depth > MostGroups) throw new FormatException($"more than {MostGroups} groups stand in one another");
        var choices = new List<PatternNode> { Sequence(flags) };
        while (text.Take("|")) choices.Add(Sequence(flags));
        depth--;
        return PatternNode.Choice(choices);
    }

    private PatternNode Sequence(PatternFlags flags)
    {
        var parts = new List<PatternNode>();
        while (!text.IsAtEnd && text.Next is not ('|' or ')'))
        {
            if (flags.IsSpaced && Skip()) continue;
            if (Item(flags) is { } item) parts.Add(Repeated(item, flags));
        }
        return parts.Count == 0 ? PatternNode.Empty : PatternNode.Sequence(parts);
    }

    private bool Skip()
    {
        if (text.Take("#")) while (!text.IsAtEnd && !text.Take("\n")) text.TakeRune();
        else if (char.IsWhiteSpace(text.Next)) text.TakeRune();
        else return false;
        return true;
    }

    private PatternNode? Item(PatternFlags flags)
    {
        if (text.Next == '(') return Group(flags);
        if (text.Take("[")) return PatternNode.Of(new PatternClassParser(text).Parse(flags.IgnoresCase));
        if (text.Take("."))
            return PatternNode.Of(
                flags.DotTakesLines ? CharacterClass.Any : new CharacterClass(rune => rune.Value != '\n'));
        if (text.Take("^")) return PatternNode.At(PatternPlace.LineStart);
        if (text.Take("$")) return PatternNode.At(PatternPlace.LineEnd);
        if (text.Next is '*' or '+' or '?')
            throw new FormatException($"the \"{text.Next}\" at {text.At} repeats nothing");
        if (text.Next == '\\' && Place() is { } place) return PatternNode.At(place);
        if (text.Next == '\\' && PatternEscapes.Class(text, inBrackets: false) is { } named)
            return PatternNode.Of(named);
        var single = CharacterClass.Of(text.Next == '\\' ? PatternEscapes.Character(text) : text.TakeRune());
        return PatternNode.Of(flags.IgnoresCase ? single.InAnyCase() : single);
    }

    private PatternPlace? Place() =>
        text.Take("\\A") ? PatternPlace.TextStart
        : text.Take("\\z") ? PatternPlace.TextEnd
        : text.Take("\\Z") ? PatternPlace.TextEndOrLastLine
        : text.Take("\\b") ? PatternPlace.WordEdge
        : text.Take("\\B") ? PatternPlace.NoWordEdge
        : null;

    private PatternNode? Group(PatternFlags flags)
    {
        int start = text.At;
        if (text.Take("(?#"))
        {
            text.TakeUntil(")");
            return null;
        }
        if (text.Take("(?=")) return PatternNode.Alone(PatternOperation.Ahead, Closed(flags, start));
        if (text.Take("(?!")) return PatternNode.Alone(PatternOperation.NotAhead, Closed(flags, start));
        if (text.Take("(?<=")) return PatternNode.Alone(PatternOperation.Behind, Closed(flags, start));
        if (text.Take("(?<!")) return PatternNode.Alone(PatternOperation.NotBehind, Closed(flags, start));
        if (text.Take("(?>")) return PatternNode.Alone(PatternOperation.Atomic, Closed(flags, start));
        if (text.Take("(?:")) return Closed(flags, start);
        if (text.Take("(?<")) text.TakeUntil(">"); // a name, which nothing asks for
        else if (text.Take("(?")) return Flagged(flags, start);
        else text.TakeRune();
        return Closed(flags, start);
    }

    private PatternNode Flagged(PatternFlags flags, int start)
    {
        bool on = true;
        while (text.Next is not (':' or ')'))
        {
            Rune letter = text.TakeRune();
            if (letter.Value == '-') on = false;
            else flags = flags.With(letter.IsAscii ? (char)letter.Value : '?', on);
        }
        // (?i) without a colon applies to the rest of the enclosing group, including its further alternatives.
        return text.Take(":") ? Closed(flags, start) : text.Take(")") ? Choice(flags)
            : throw new FormatException("it ends too soon");
    }

    private PatternNode Closed(PatternFlags flags, int start)
    {
        PatternNode inside = Choice(flags);
        return text.Take(")") ? inside : throw new FormatException($"the group that opens at {start} is not closed");
    }

    private PatternNode Repeated(PatternNode item, PatternFlags flags)
    {
        while (!text.IsAtEnd)
        {
            if (flags.IsSpaced && Skip()) continue;
            (int Least, int? Most) times;
            bool isInterval = false;
            if (text.Take("*")) times = (0, null);
            else if (text.Take("+")) times = (1, null);
            else if (text.Take("?")) times = (0, 1);
            else if (Interval() is { } found) (times, isInterval) = (found, true);
            else break;
            // After an interval, "+" repeats it, and after a fixed interval "?" makes it optional, as in Ruby.
            if (!isInterval && text.Take("+")) item = PatternNode.Keep(item, times.Least, times.Most);
            else if (!(isInterval && times.Least == times.Most) && text.Take("?"))
                item = PatternNode.Repeat(item, times.Least, times.Most, isLazy: true);
            else item = PatternNode.Repeat(item, times.Least, times.Most, isLazy: false);
        }
        return item;
    }

    // {n}, {n,}, {,m}, {n,m}; anything else is a literal brace.
    private (int Least, int? Most)? Interval()
    {
        int start = text.At;
        if (!text.Take("{")) return null;
        int? least = text.TakeNumber();
        bool hasComma = text.Take(",");
        int? most = hasComma ? text.TakeNumber() : least;
        if (!text.Take("}") || (least is null && most is null))
        {
            text.Return(start);
            return null;
        }
        if (least > MostTimes || most > MostTimes)
            throw new FormatException($"a part is repeated more than {MostTimes} times");
        if (most < least) throw new FormatException($"{{{least},{most}}} asks for more than it allows");
        return (least ?? 0, most);
    }
}

/// <summary>Parses bracket expressions: characters, ranges, classes, nested classes, and their intersections.</summary>
internal sealed class PatternClassParser(PatternText text)
{
    private const int MostClasses = 50; // in one another
    private int depth;

    /// <summary>Parses the class whose opening bracket has been consumed.</summary>
    /// <param name="ignoresCase">Whether characters and ranges ignore case.</param>
    /// <exception cref="FormatException">The class is malformed or contains an unknown name.</exception>
    public CharacterClass Parse(bool ignoresCase)
    {
        if (++depth > MostClasses) throw new FormatException($"more than {MostClasses} classes stand in one another");
        bool isNegated = text.Take("^");
        CharacterClass? all = null;
        var parts = new List<CharacterClass>();
        if (text.Take("]")) parts.Add(CharacterClass.Of(new Rune(']'))); // first, it stands for itself
        while (!text.Take("]"))
        {
            if (text.Take("&&"))
            {
                all = Joined(all, parts);
                parts = [];
            }
            else parts.Add(Item(ignoresCase));
        }
        depth--;
        CharacterClass found = Joined(all, parts);
        return isNegated ? found.Not() : found;
    }

    private static CharacterClass Joined(CharacterClass? left, List<CharacterClass> parts)
    {
        if (parts.Count == 0) throw new FormatException("a class in brackets is empty");
        var right = CharacterClass.Union(parts);
        return left is null ? right : left.And(right);
    }

    private CharacterClass Item(bool ignoresCase)
    {
        if (text.Take("[:")) return Named();
        if (text.Take("[")) return Parse(ignoresCase);
        if (text.Next == '\\' && PatternEscapes.Class(text, inBrackets: true) is { } named) return WithHyphen(named);
        Rune first = Character();
        int start = text.At;
        CharacterClass single = CharacterClass.Of(first);
        if (text.Take("-"))
        {
            // A hyphen before the end or before a class is literal.
            if (text.Next is ']' or '['
                || (text.Next == '\\' && PatternEscapes.Class(text, inBrackets: true) is not null))
                text.Return(start);
            else
            {
                Rune last = Character();
                if (last.Value < first.Value) throw new FormatException($"the range {first}-{last} is empty");
                single = CharacterClass.Range(first, last);
            }
        }
        return ignoresCase ? single.InAnyCase() : single;
    }

    // A class cannot start a range: a hyphen after it is literal, and only at the end.
    private CharacterClass WithHyphen(CharacterClass named)
    {
        if (!text.Take("-")) return named;
        return text.Next == ']' ? CharacterClass.Union([named, CharacterClass.Of(new Rune('-'))])
            : throw new FormatException("a range in brackets begins with a class");
    }

    private Rune Character()
    {
        if (text.Take("\\b")) return new Rune('\b');
        return text.Next == '\\' ? PatternEscapes.Character(text) : text.TakeRune();
    }

    private CharacterClass Named()
    {
        bool isNegated = text.Take("^");
        string name = text.TakeUntil(":]");
        CharacterClass named = CharacterProperties.Bracket(name)
            ?? throw new FormatException(
                $"[:{name}:] is not known; expected ascii, blank, cntrl, digit, punct, space, word or xdigit");
        return isNegated ? named.Not() : named;
    }
}

/// <summary>Parses backslash escapes.</summary>
internal static class PatternEscapes
{
    /// <summary>A class such as <c>\s</c> or <c>\p{L}</c>; null, with nothing consumed, if something else
    /// follows.</summary>
    /// <param name="text">The pattern.</param>
    /// <param name="inBrackets">Whether it is in brackets.</param>
    /// <exception cref="FormatException">The property is unknown.</exception>
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

    /// <summary>An escaped character.</summary>
    /// <exception cref="FormatException">The escape is not supported.</exception>
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
            >= '1' and <= '9' or (>= 'A' and <= 'Z') or (>= 'a' and <= 'z') =>
                throw new FormatException($"\\{letter} is not supported"),
            _ => letter,
        };
    }
}

/// <summary>The flags set by <c>(?imx)</c>.</summary>
/// <param name="IgnoresCase"><c>i</c></param>
/// <param name="DotTakesLines"><c>m</c>: the dot also matches line feeds.</param>
/// <param name="IsSpaced"><c>x</c>: white space and comments in the pattern are ignored.</param>
internal readonly record struct PatternFlags(bool IgnoresCase, bool DotTakesLines, bool IsSpaced)
{
    /// <summary>The flags with one of them set or cleared.</summary>
    /// <exception cref="FormatException">The flag is unknown.</exception>
    public PatternFlags With(char letter, bool on) => letter switch
    {
        'i' => this with { IgnoresCase = on },
        'm' => this with { DotTakesLines = on },
        'x' => this with { IsSpaced = on },
        _ => throw new FormatException($"(?{letter}) is no flag; expected i, m or x"),
    };
}

/// <summary>A pattern, read character by character.</summary>
internal sealed class PatternText(string text)
{
    /// <summary>The position of the next character.</summary>
    public int At { get; private set; }

    /// <summary>Whether the end is reached.</summary>
    public bool IsAtEnd => At >= text.Length;

    /// <summary>The next unit; 0 at the end.</summary>
    public char Next => IsAtEnd ? '\0' : text[At];

    /// <summary>Whether the given text follows; if so, it is consumed.</summary>
    public bool Take(string expected)
    {
        if (string.CompareOrdinal(text, At, expected, 0, expected.Length) != 0) return false;
        At += expected.Length;
        return true;
    }

    /// <summary>Consumes a character.</summary>
    /// <exception cref="FormatException">The pattern ends here.</exception>
    public Rune TakeRune()
    {
        if (IsAtEnd) throw new FormatException("it ends too soon");
        if (!Rune.TryGetRuneAt(text, At, out Rune rune)) throw new FormatException("it holds half a surrogate pair");
        At += rune.Utf16SequenceLength;
        return rune;
    }

    /// <summary>Consumes everything up to and including a terminator.</summary>
    /// <exception cref="FormatException">The terminator is missing.</exception>
    public string TakeUntil(string mark)
    {
        int end = text.IndexOf(mark, At, StringComparison.Ordinal);
        if (end < 0) throw new FormatException($"a \"{mark}\" is missing");
        string taken = text[At..end];
        At = end + mark.Length;
        return taken;
    }

    /// <summary>Consumes digits; null if there are none.</summary>
    public int? TakeNumber()
    {
        int start = At;
        while (At < text.Length && char.IsAsciiDigit(text[At])) At++;
        if (At == start) return null;
        return int.TryParse(
            text.AsSpan(start, At - start), NumberStyles.None, CultureInfo.InvariantCulture, out int number)
            ? number : throw new FormatException($"{text[start..At]} is too large");
    }

    /// <summary>Consumes up to a given number of hexadecimal digits as a character.</summary>
    /// <exception cref="FormatException">There are no digits, or they are not a valid character.</exception>
    public Rune TakeHex(int most)
    {
        int start = At;
        while (At < text.Length && At - start < most && char.IsAsciiHexDigit(text[At])) At++;
        return int.TryParse(
            text.AsSpan(start, At - start), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out int value)
            && Rune.IsValid(value)
            ? new Rune(value) : throw new FormatException($"{text[start..At]} names no character");
    }

    /// <summary>Moves back to a position.</summary>
    public void Return(int at) => At = at;
}
