using System.Text;

namespace LowRank.Tokenization.Patterns;

/// <summary>Reads a regular expression. What it does not know is an error: a pattern that is read otherwise than it was meant
/// splits texts wrongly without a word.</summary>
internal sealed class PatternParser(string pattern)
{
    private const int MostGroups = 100; // inside one another: each is a call on the stack
    private const int MostTimes = 1000;
    private readonly PatternText text = new(pattern);
    private int depth;

    /// <summary>The whole pattern.</summary>
    /// <exception cref="FormatException">It is malformed, or asks for what is not supported.</exception>
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
        if (text.Take(".")) return PatternNode.Of(flags.DotTakesLines ? CharacterClass.Any : new CharacterClass(rune => rune.Value != '\n'));
        if (text.Take("^")) return PatternNode.At(PatternPlace.LineStart);
        if (text.Take("$")) return PatternNode.At(PatternPlace.LineEnd);
        if (text.Next is '*' or '+' or '?') throw new FormatException($"the \"{text.Next}\" at {text.At} repeats nothing");
        if (text.Next == '\\' && Place() is { } place) return PatternNode.At(place);
        if (text.Next == '\\' && PatternEscapes.Class(text, inBrackets: false) is { } named) return PatternNode.Of(named);
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
        // (?i) without a colon holds for the rest of the group around it, its further choices included.
        return text.Take(":") ? Closed(flags, start) : text.Take(")") ? Choice(flags) : throw new FormatException("it ends too soon");
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
            // After an interval "+" repeats it, and after a fixed one "?" makes it optional: so Ruby reads them.
            if (!isInterval && text.Take("+")) item = PatternNode.Keep(item, times.Least, times.Most);
            else if (!(isInterval && times.Least == times.Most) && text.Take("?")) item = PatternNode.Repeat(item, times.Least, times.Most, isLazy: true);
            else item = PatternNode.Repeat(item, times.Least, times.Most, isLazy: false);
        }
        return item;
    }

    // {n}, {n,}, {,m}, {n,m}; anything else is a brace that stands for itself.
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
        if (least > MostTimes || most > MostTimes) throw new FormatException($"a part is repeated more than {MostTimes} times");
        if (most < least) throw new FormatException($"{{{least},{most}}} asks for more than it allows");
        return (least ?? 0, most);
    }
}
