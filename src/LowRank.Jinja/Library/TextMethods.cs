using System.Collections.Frozen;
using System.Text;

namespace LowRank.Jinja;

/// <summary>The methods of strings.</summary>
internal static class TextMethods
{
    // Methods that Python's strings have and this engine does not.
    private static readonly FrozenSet<string> Unsupported = FrozenSet.ToFrozenSet(
        ["casefold", "encode", "translate", "maketrans", "isidentifier"]);

    private static readonly FrozenDictionary<string, TextMethod> Methods = TextCaseMethods.All
        .Concat(TextSearchMethods.All)
        .Concat(TextSplitMethods.All)
        .Concat(TextEdgeMethods.All)
        .ToFrozenDictionary(StringComparer.Ordinal);

    // Arguments that markup escapes before its method receives them.
    private static readonly FrozenDictionary<string, int> Escaped = new Dictionary<string, int>
    {
        ["replace"] = 1,
        ["ljust"] = 1,
        ["rjust"] = 1,
        ["center"] = 1,
    }.ToFrozenDictionary(StringComparer.Ordinal);

    /// <summary>A method, or null if there is none with that name.</summary>
    public static FilterFunction? Find(string name)
    {
        if (Unsupported.Contains(name))
        {
            return (_, _, _) => throw TemplateException.Unsupported($"the method '{name}' of strings");
        }

        return Methods.TryGetValue(name, out var method)
            ? (renderer, value, arguments) => value is MarkupValue markup
                ? Wrap(method(renderer, markup.Text, Escape(name, arguments)))
                : method(renderer, (string)value, arguments)
            : null;
    }

    private static Arguments Escape(string name, Arguments arguments)
    {
        if (name is "join" or "format" or "format_map")
        {
            throw TemplateException.Unsupported($"the method '{name}' of text marked as safe");
        }

        return !Escaped.TryGetValue(name, out var index) || index >= arguments.Positional.Count
            || arguments.Positional[index] is not string text
            ? arguments
            : arguments with
            {
                Positional = [
                    .. arguments.Positional.Select((value, i) => i == index ? MarkupValue.Escape(text) : value)],
            };
    }

    private static object Wrap(object result) => result switch
    {
        string text => new MarkupValue(text),
        ListValue list => new ListValue([.. list.Items.Select(Wrap)]),
        TupleValue tuple => new TupleValue([.. tuple.Items.Select(Wrap)]),
        _ => result,
    };
}

/// <summary>A method of strings.</summary>
internal delegate object TextMethod(Renderer renderer, string text, Arguments arguments);

/// <summary>Reads arguments that must be text.</summary>
internal static class TextArgument
{
    /// <summary>A text; an error for any other value.</summary>
    public static string Require(object value, string function) => value is UndefinedValue undefined
        ? throw undefined.Use()
        : Text.Of(value) ?? throw TemplateException.Type($"{function}() needs a str, not {TypeNames.Of(value)}");

    /// <summary>A text, or null if the argument is none or was not given.</summary>
    public static string? Optional(object? value, string function) =>
        value is null or None ? null : Require(value, function);
}

/// <summary>Methods of strings that trim or pad their ends.</summary>
internal static class TextEdgeMethods
{
    /// <summary>The methods by name.</summary>
    public static IReadOnlyDictionary<string, TextMethod> All { get; } = new Dictionary<string, TextMethod>
    {
        ["strip"] = (_, text, arguments) => Strip("strip", text, arguments, true, true),
        ["lstrip"] = (_, text, arguments) => Strip("lstrip", text, arguments, true, false),
        ["rstrip"] = (_, text, arguments) => Strip("rstrip", text, arguments, false, true),
        ["removeprefix"] = (_, text, arguments) => RemovePrefix(text, arguments),
        ["removesuffix"] = (_, text, arguments) => RemoveSuffix(text, arguments),
        ["ljust"] = (renderer, text, arguments) => Pad(renderer, "ljust", text, arguments, (_, _) => 0),
        ["rjust"] = (renderer, text, arguments) => Pad(renderer, "rjust", text, arguments, (missing, _) => missing),
        ["center"] = (renderer, text, arguments) => Pad(renderer, "center", text, arguments, CenterLeft),
        ["zfill"] = FillZeros,
        ["expandtabs"] = ExpandTabs,
    };

    /// <summary>Centers a text as Python does: an odd space goes to the left if the width is odd.</summary>
    public static string Center(Renderer renderer, string text, long width) =>
        Pad(renderer, text, width, " ", CenterLeft);

    /// <summary>Removes characters of a set from the ends; spaces if the set is null.</summary>
    public static string Strip(string text, string? characters, bool start, bool end)
    {
        if (characters is null)
        {
            return Characters.Trim(text, start, end);
        }

        var set = CodePoints.Each(characters).Select(item => (string)item).ToHashSet(StringComparer.Ordinal);
        var from = 0;
        var to = text.Length;
        while (start && from < to && set.Contains(First(text, from)))
        {
            from += First(text, from).Length;
        }

        while (end && to > from && set.Contains(Last(text, to)))
        {
            to -= Last(text, to).Length;
        }

        return text[from..to];
    }

    private static string First(string text, int index) =>
        text.Substring(index, char.IsSurrogatePair(text, index) ? 2 : 1);

    private static string Last(string text, int end) =>
        end >= 2 && char.IsSurrogatePair(text, end - 2) ? text[(end - 2)..end] : text[(end - 1)..end];

    private static string Strip(string name, string text, Arguments arguments, bool start, bool end) => Strip(
        text, TextArgument.Optional(arguments.BindPositional(name, 0, 1)[0], name), start, end);

    private static string RemovePrefix(string text, Arguments arguments)
    {
        var prefix = TextArgument.Require(arguments.BindPositional("removeprefix", 1, 1)[0]!, "removeprefix");
        return text.StartsWith(prefix, StringComparison.Ordinal) ? text[prefix.Length..] : text;
    }

    private static string RemoveSuffix(string text, Arguments arguments)
    {
        var suffix = TextArgument.Require(arguments.BindPositional("removesuffix", 1, 1)[0]!, "removesuffix");
        return suffix.Length > 0 && text.EndsWith(suffix, StringComparison.Ordinal) ? text[..^suffix.Length] : text;
    }

    private static long CenterLeft(long missing, long width) => (missing / 2) + (missing & width & 1);

    private static string Pad(
        Renderer renderer, string name, string text, Arguments arguments, Func<long, long, long> left)
    {
        var values = arguments.BindPositional(name, 1, 2);
        var fill = values[1] is null ? " " : TextArgument.Require(values[1]!, name);
        return CodePoints.Length(fill) == 1
            ? Pad(renderer, text, Numbers.Index(values[0]!, "the width"), fill, left)
            : throw TemplateException.Type("The fill character must be exactly one character long");
    }

    private static string Pad(Renderer renderer, string text, long width, string fill, Func<long, long, long> left)
    {
        var missing = width - CodePoints.Length(text);
        if (missing <= 0)
        {
            return text;
        }

        renderer.Budget.CheckLength(text.Length + (missing * fill.Length));
        var before = (int)left(missing, width);
        return new StringBuilder().Insert(0, fill, before).Append(text)
            .Insert(text.Length + (before * fill.Length), fill, (int)missing - before).ToString();
    }

    private static string FillZeros(Renderer renderer, string text, Arguments arguments)
    {
        var width = Numbers.Index(arguments.BindPositional("zfill", 1, 1)[0]!, "the width");
        var sign = text.Length > 0 && text[0] is '+' or '-' ? text[..1] : "";
        return sign + Pad(renderer, text[sign.Length..], width - sign.Length, "0", (missing, _) => missing);
    }

    private static string ExpandTabs(Renderer renderer, string text, Arguments arguments)
    {
        var size = arguments.Bind("expandtabs", 0, "tabsize")[0] is { } value ? Numbers.Index(value, "tabsize") : 8;
        var result = new StringBuilder();
        var column = 0L;
        foreach (string character in CodePoints.Each(text))
        {
            if (character == "\t")
            {
                var spaces = size <= 0 ? 0 : size - (column % size);
                renderer.Budget.CheckLength(result.Length + spaces);
                result.Append(' ', (int)spaces);
                column += spaces;
            }
            else
            {
                result.Append(character);
                column = character is "\n" or "\r" ? 0 : column + 1;
            }
        }

        return result.ToString();
    }
}

/// <summary>Methods of strings that split them.</summary>
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

    /// <summary>Splits into lines at every line end that Python knows.</summary>
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
            throw TemplateException.Value("empty separator");
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
            throw TemplateException.Value("empty separator");
        }

        var place = last
            ? text.LastIndexOf(separator, StringComparison.Ordinal)
            : text.IndexOf(separator, StringComparison.Ordinal);
        return place >= 0 ? new TupleValue([text[..place], separator, text[(place + separator.Length)..]])
            : last ? new TupleValue(["", "", text])
            : new TupleValue([text, "", ""]);
    }
}
