using System.Numerics;

namespace LowRank.Jinja;

/// <summary>Methods of strings that find, replace, join or format.</summary>
internal static class TextSearchMethods
{
    /// <summary>The methods by name.</summary>
    public static IReadOnlyDictionary<string, TextMethod> All { get; } = new Dictionary<string, TextMethod>
    {
        ["startswith"] = Affix("startswith", (text, affix) => text.StartsWith(affix, StringComparison.Ordinal)),
        ["endswith"] = Affix("endswith", (text, affix) => text.EndsWith(affix, StringComparison.Ordinal)),
        ["find"] = Search("find", false, false),
        ["rfind"] = Search("rfind", true, false),
        ["index"] = Search("index", false, true),
        ["rindex"] = Search("rindex", true, true),
        ["count"] = Count,
        ["replace"] = Replace,
        ["join"] = Join,
        ["format"] = (renderer, text, arguments) => BraceFormat.Apply(renderer, text, arguments),
        ["format_map"] = FormatMap,
    };

    /// <summary>Replaces occurrences, at most a number of them; a negative number means all.</summary>
    public static string Replace(Renderer renderer, string text, string old, string replacement, long count)
    {
        if (count < 0)
        {
            count = long.MaxValue;
        }

        if (old.Length == 0)
        {
            return ReplaceEmpty(renderer, text, replacement, count);
        }

        // Checks the length before building anything, so a small text cannot first become a huge one.
        var places = 0L;
        for (var i = 0; places < count && (i = text.IndexOf(old, i, StringComparison.Ordinal)) >= 0; i += old.Length)
        {
            places++;
        }

        renderer.Budget.CheckLength(text.Length + (places * (replacement.Length - old.Length)));
        var result = new System.Text.StringBuilder(text.Length);
        var start = 0;
        for (var done = 0L; done < places; done++)
        {
            var next = text.IndexOf(old, start, StringComparison.Ordinal);
            result.Append(text, start, next - start).Append(replacement);
            start = next + old.Length;
        }

        return result.Append(text, start, text.Length - start).ToString();
    }

    private static string ReplaceEmpty(Renderer renderer, string text, string replacement, long count)
    {
        renderer.Budget.CheckLength(text.Length + ((text.Length + 1L) * replacement.Length));
        var result = new System.Text.StringBuilder(text.Length);
        foreach (var character in CodePoints.Each(text))
        {
            result.Append(count-- > 0 ? replacement : "").Append((string)character);
        }

        return result.Append(count > 0 ? replacement : "").ToString();
    }

    private static TextMethod Affix(string name, Func<string, string, bool> has) => (_, text, arguments) =>
    {
        var values = arguments.BindPositional(name, 1, 3);
        var candidates = values[0] is TupleValue tuple ? tuple.Items : [values[0]!];
        var affixes = candidates.Select(item => TextArgument.Require(item, name)).ToList();
        return Window(text, values[1], values[2]) is var (start, end)
            && affixes.Exists(affix => has(text[start..end], affix));
    };

    private static TextMethod Search(string name, bool last, bool required) => (_, text, arguments) =>
    {
        var values = arguments.BindPositional(name, 1, 3);
        var part = TextArgument.Require(values[0]!, name);
        var found = -1;
        if (Window(text, values[1], values[2]) is var (start, end))
        {
            var window = text[start..end];
            found = last
                ? window.LastIndexOf(part, StringComparison.Ordinal)
                : window.IndexOf(part, StringComparison.Ordinal);
            found = found < 0 ? found : found + start;
        }

        return found >= 0 ? new BigInteger(CodePoints.CountBefore(text, found))
            : required ? throw TemplateException.Value($"{name}(): substring not found")
            : BigInteger.MinusOne;
    };

    private static object Count(Renderer renderer, string text, Arguments arguments)
    {
        var values = arguments.BindPositional("count", 1, 3);
        var part = TextArgument.Require(values[0]!, "count");
        if (Window(text, values[1], values[2]) is not var (start, end))
        {
            return BigInteger.Zero;
        }

        var window = text[start..end];
        if (part.Length == 0)
        {
            return new BigInteger(CodePoints.Length(window) + 1);
        }

        var count = 0;
        for (var i = 0; (i = window.IndexOf(part, i, StringComparison.Ordinal)) >= 0; i += part.Length)
        {
            count++;
        }

        return new BigInteger(count);
    }

    // The part of a text between two bounds in code points, as positions; null if the start lies behind the end.
    private static (int Start, int End)? Window(string text, object? start, object? end)
    {
        if (start is null or None && end is null or None)
        {
            return (0, text.Length);
        }

        var length = CodePoints.Length(text);
        var from = Bound(start, 0, length);
        var to = Math.Min(Bound(end, length, length), length);
        return from > to ? null : (CodePoints.Offset(text, from), CodePoints.Offset(text, to));
    }

    private static long Bound(object? bound, long missing, long length)
    {
        var value = bound is null or None ? missing : Numbers.Index(bound, "a bound");
        return Math.Max(0, value < 0 ? value + length : value);
    }

    private static object Replace(Renderer renderer, string text, Arguments arguments)
    {
        var count = arguments.Named.FirstOrDefault(argument => argument.Key == "count").Value;
        if (count is not null && arguments.Named.Count == 1)
        {
            arguments = new Arguments([.. arguments.Positional, count], []);
        }

        var values = arguments.BindPositional("replace", 2, 3);
        return Replace(
            renderer,
            text,
            TextArgument.Require(values[0]!, "replace"),
            TextArgument.Require(values[1]!, "replace"),
            values[2] is null ? -1 : Numbers.Index(values[2]!, "the count of replace"));
    }

    private static object Join(Renderer renderer, string text, Arguments arguments)
    {
        var items = Iteration.List(renderer, arguments.BindPositional("join", 1, 1)[0]!);
        var texts = items.Select((item, i) => Text.Of(item) ?? throw TemplateException.Type(
            $"sequence item {i}: expected str instance, {TypeNames.Of(item)} found")).ToList();
        return Joined(renderer, text, texts);
    }

    /// <summary>Joins texts after checking the length.</summary>
    public static string Joined(Renderer renderer, string separator, IReadOnlyCollection<string> texts)
    {
        renderer.Budget.CheckLength(texts.Sum(text => (long)text.Length) + ((long)separator.Length * texts.Count));
        return string.Join(separator, texts);
    }

    private static object FormatMap(Renderer renderer, string text, Arguments arguments)
    {
        if (arguments.BindPositional("format_map", 1, 1)[0] is not DictionaryValue values)
        {
            throw TemplateException.Type("format_map() needs a dictionary");
        }

        var named = values.Items.Where(pair => Text.Of(pair.Key) is not null)
            .Select(pair => KeyValuePair.Create(Text.Of(pair.Key)!, pair.Value));
        return BraceFormat.Apply(renderer, text, new Arguments([], [.. named]));
    }
}
