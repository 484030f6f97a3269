using LowRank.Tokenization.Templates.Runtime;
using LowRank.Tokenization.Templates.Values;

namespace LowRank.Tokenization.Templates.Library;

/// <summary>Methods of strings that cut them into parts.</summary>
internal static class TextSplitMethods
{
    /// <summary>The methods by name.</summary>
    public static IReadOnlyDictionary<string, TextMethod> All { get; } = new Dictionary<string, TextMethod>
    {
        ["split"] = (_, text, arguments) => Split("split", text, arguments, false),
        ["rsplit"] = (_, text, arguments) => Split("rsplit", text, arguments, true),
        ["splitlines"] = SplitLines,
        ["partition"] = (_, text, arguments) => Partition("partition", text, arguments, false),
        ["rpartition"] = (_, text, arguments) => Partition("rpartition", text, arguments, true),
    };

    /// <summary>Cuts into lines at every line end that Python knows.</summary>
    public static List<object> Lines(string text, bool keepEnds)
    {
        var lines = new List<object>();
        for (var start = 0; start < text.Length;)
        {
            var end = start;
            while (end < text.Length && !Characters.IsLineEnd(text[end]))
            {
                end++;
            }

            var next = end < text.Length ? end + 1 : end;
            if (next < text.Length && text[end] == '\r' && text[next] == '\n')
            {
                next++;
            }

            lines.Add(text[start..(keepEnds ? next : end)]);
            start = next;
        }

        return lines;
    }

    private static ListValue Split(string name, string text, Arguments arguments, bool fromEnd)
    {
        var values = arguments.Bind(name, 0, "sep", "maxsplit");
        var separator = TextArgument.Optional(values[0], name);
        var maximum = values[1] is null ? -1 : Numbers.Index(values[1]!, "maxsplit");
        maximum = maximum < 0 ? long.MaxValue : maximum;
        if (separator is { Length: 0 })
        {
            throw TemplateFault.Value("empty separator");
        }

        var parts = (separator, fromEnd) switch
        {
            (null, false) => Words(text, maximum),
            (null, true) => WordsFromEnd(text, maximum),
            (_, false) => Parts(text, separator!, maximum),
            _ => PartsFromEnd(text, separator!, maximum),
        };
        return new ListValue(parts);
    }

    private static List<object> Words(string text, long maximum)
    {
        var words = new List<object>();
        var position = Skip(text, 0);
        while (position < text.Length)
        {
            if (words.Count == maximum)
            {
                words.Add(Characters.Trim(text[position..], start: false));
                break;
            }

            var end = position;
            while (end < text.Length && !Characters.IsSpace(text[end]))
            {
                end++;
            }

            words.Add(text[position..end]);
            position = Skip(text, end);
        }

        return words;
    }

    private static int Skip(string text, int position)
    {
        while (position < text.Length && Characters.IsSpace(text[position]))
        {
            position++;
        }

        return position;
    }

    private static List<object> WordsFromEnd(string text, long maximum)
    {
        var words = new List<object>();
        var end = Characters.Trim(text, start: false).Length;
        while (end > 0)
        {
            if (words.Count == maximum)
            {
                words.Add(text[..end]);
                break;
            }

            var start = end;
            while (start > 0 && !Characters.IsSpace(text[start - 1]))
            {
                start--;
            }

            words.Add(text[start..end]);
            end = Characters.Trim(text[..start], start: false).Length;
        }

        words.Reverse();
        return words;
    }

    private static List<object> Parts(string text, string separator, long maximum)
    {
        var parts = new List<object>();
        var start = 0;
        int next;
        while (parts.Count < maximum && (next = text.IndexOf(separator, start, StringComparison.Ordinal)) >= 0)
        {
            parts.Add(text[start..next]);
            start = next + separator.Length;
        }

        parts.Add(text[start..]);
        return parts;
    }

    private static List<object> PartsFromEnd(string text, string separator, long maximum)
    {
        var parts = new List<object>();
        var end = text.Length;
        int found;
        while (parts.Count < maximum
            && (found = text.AsSpan(0, end).LastIndexOf(separator, StringComparison.Ordinal)) >= 0)
        {
            parts.Add(text[(found + separator.Length)..end]);
            end = found;
        }

        parts.Add(text[..end]);
        parts.Reverse();
        return parts;
    }

    private static ListValue SplitLines(Renderer renderer, string text, Arguments arguments)
    {
        var keep = arguments.Bind("splitlines", 0, "keepends")[0];
        return new ListValue(Lines(text, keep is not null && Truth.Of(renderer, keep)));
    }

    private static TupleValue Partition(string name, string text, Arguments arguments, bool last)
    {
        var separator = TextArgument.Require(arguments.BindPositional(name, 1, 1)[0]!, name);
        if (separator.Length == 0)
        {
            throw TemplateFault.Value("empty separator");
        }

        var place = last
            ? text.LastIndexOf(separator, StringComparison.Ordinal)
            : text.IndexOf(separator, StringComparison.Ordinal);
        return place >= 0 ? new TupleValue([text[..place], separator, text[(place + separator.Length)..]])
            : last ? new TupleValue(["", "", text])
            : new TupleValue([text, "", ""]);
    }
}
