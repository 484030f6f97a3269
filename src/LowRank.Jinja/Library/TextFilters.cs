using System.Globalization;
using System.Numerics;
using System.Text;

namespace LowRank.Jinja;

/// <summary>The filters that return text.</summary>
internal static class TextFilters
{
    private const int Leeway = 5;

    /// <summary>The filters by name.</summary>
    public static IReadOnlyDictionary<string, FilterFunction> All { get; } = new Dictionary<string, FilterFunction>
    {
        ["upper"] = Method("upper", 0),
        ["lower"] = Method("lower", 0),
        ["capitalize"] = Method("capitalize", 0),
        ["title"] = Map("title", Title),
        ["trim"] = Trim,
        ["string"] = (renderer, value, arguments) =>
        {
            arguments.BindPositional("string", 0, 0);
            return Soft(renderer, value);
        },
        ["replace"] = Replace,
        ["join"] = Join,
        ["indent"] = Indent,
        ["truncate"] = Truncate,
        ["center"] = Center,
        ["format"] = Format,
        ["wordcount"] = WordCount,
        ["tojson"] = ToJson,
        ["filesizeformat"] = FileSize,
        ["urlencode"] = UrlFilter.Encode,
    };

    /// <summary>Returns markup unchanged and any other value as text.</summary>
    public static object Soft(Renderer renderer, object value) =>
        value is MarkupValue ? value : Display.Text(renderer, value);

    private static FilterFunction Method(string name, int maximum) => (renderer, value, arguments) =>
    {
        arguments.BindPositional(name, 0, maximum);
        return TextMethods.Find(name)!(renderer, Soft(renderer, value), arguments);
    };

    private static FilterFunction Map(string name, Func<string, string> map) => (renderer, value, arguments) =>
    {
        arguments.BindPositional(name, 0, 0);
        return map(Display.Text(renderer, value));
    };

    // Words begin only after spaces, hyphens and opening brackets, unlike in the method title.
    private static string Title(string text)
    {
        var result = new StringBuilder(text.Length);
        for (var i = 0; i < text.Length;)
        {
            var start = i;
            while (i < text.Length && IsWordBreak(text[i]) == IsWordBreak(text[start]))
            {
                i++;
            }

            var first = start + (char.IsSurrogatePair(text, start) ? 2 : 1);
            result.Append(CaseMapping.Upper(text[start..first])).Append(CaseMapping.Lower(text[first..i]));
        }

        return result.ToString();
    }

    private static bool IsWordBreak(char character) =>
        character is '-' or '(' or '{' or '[' or '<' || Characters.IsSpace(character);

    private static object Trim(Renderer renderer, object value, Arguments arguments)
    {
        var characters = TextArgument.Optional(arguments.Bind("trim", 0, "chars")[0], "trim");
        var text = TextEdgeMethods.Strip(Display.Text(renderer, value), characters, true, true);
        return value is MarkupValue ? new MarkupValue(text) : text;
    }

    private static object Replace(Renderer renderer, object value, Arguments arguments)
    {
        var values = arguments.Bind("replace", 2, "old", "new", "count");
        return TextSearchMethods.Replace(
            renderer,
            Display.Text(renderer, value),
            Display.Text(renderer, values[0]!),
            Display.Text(renderer, values[1]!),
            values[2] is null or None ? -1 : Numbers.Index(values[2]!, "the count of replace"));
    }

    private static object Join(Renderer renderer, object value, Arguments arguments)
    {
        var values = arguments.Bind("join", 0, "d", "attribute");
        var items = Iteration.Of(renderer, value);
        if (values[1] is not null and not None)
        {
            var read = AttributePath.Reader(renderer, values[1]!);
            items = items.Select(read);
        }

        var texts = items.Select(item => Display.Text(renderer, item)).ToList();
        return TextSearchMethods.Joined(renderer, values[0] is null ? "" : Display.Text(renderer, values[0]!), texts);
    }

    private static object Indent(Renderer renderer, object value, Arguments arguments)
    {
        var values = arguments.Bind("indent", 0, "width", "first", "blank");
        var width = values[0] ?? new BigInteger(4);
        var count = Text.Of(width) is null ? Math.Max(0, Numbers.Index(width, "the width of indent")) : 0;
        renderer.Budget.CheckLength(count);
        var indent = Text.Of(width) ?? new string(' ', (int)count);
        var blank = values[2] is not null && Truth.Of(renderer, values[2]!);
        var lines = TextSplitMethods.Lines(TextArgument.Require(value, "indent") + "\n", false);
        renderer.Budget.CheckLength(((long)indent.Length * lines.Count) + Text.Of(value)!.Length);
        var result = new StringBuilder();
        for (var i = 0; i < lines.Count; i++)
        {
            var line = (string)lines[i];
            result.Append(i == 0 ? "" : "\n").Append(i > 0 && (blank || line.Length > 0) ? indent : "").Append(line);
        }

        if (values[1] is not null && Truth.Of(renderer, values[1]!))
        {
            result.Insert(0, indent);
        }

        return value is MarkupValue ? new MarkupValue(result.ToString()) : result.ToString();
    }

    private static object Truncate(Renderer renderer, object value, Arguments arguments)
    {
        var values = arguments.Bind("truncate", 0, "length", "killwords", "end", "leeway");
        var length = values[0] is null ? 255 : Numbers.Index(values[0]!, "the length of truncate");
        var end = values[2] is null ? "..." : TextArgument.Require(values[2]!, "truncate");
        var leeway = values[3] is null or None ? Leeway : Numbers.Index(values[3]!, "the leeway of truncate");
        if (length < CodePoints.Length(end) || leeway < 0)
        {
            throw TemplateException.Value(
                $"truncate needs a length of at least {CodePoints.Length(end)} and a leeway of at least 0");
        }

        // A value that is short enough stays unchanged, whether text or not.
        if (Iteration.RequireLength(renderer, value) <= length + leeway)
        {
            return value;
        }

        var text = TextArgument.Require(value, "truncate");

        var cut = text[..CodePoints.Offset(text, length - CodePoints.Length(end))];
        if (values[1] is null || !Truth.Of(renderer, values[1]!))
        {
            var space = cut.LastIndexOf(' ');
            cut = space < 0 ? cut : cut[..space];
        }

        return cut + end;
    }

    private static object Center(Renderer renderer, object value, Arguments arguments)
    {
        var width = arguments.Bind("center", 0, "width")[0];
        return TextEdgeMethods.Center(
            renderer, Display.Text(renderer, value), width is null ? 80 : Numbers.Index(width, "the width of center"));
    }

    private static object Format(Renderer renderer, object value, Arguments arguments)
    {
        if (arguments.Positional.Count > 0 && arguments.Named.Count > 0)
        {
            throw new TemplateException("the filter 'format' takes arguments either by place or by name");
        }

        object values = new TupleValue(arguments.Positional);
        if (arguments.Named.Count > 0)
        {
            var named = new DictionaryValue(renderer.Keys);
            foreach (var (name, item) in arguments.Named)
            {
                named.Items[name] = item;
            }

            values = named;
        }

        return PrintfFormat.Apply(renderer, Soft(renderer, value), values);
    }

    private static object WordCount(Renderer renderer, object value, Arguments arguments)
    {
        arguments.BindPositional("wordcount", 0, 0);
        var count = 0;
        var inWord = false;
        foreach (var rune in Display.Text(renderer, value).EnumerateRunes())
        {
            var isWord = rune.Value == '_' || Rune.IsLetter(rune) || Rune.GetNumericValue(rune) != -1;
            count += isWord && !inWord ? 1 : 0;
            inWord = isWord;
        }

        return new BigInteger(count);
    }

    private static object ToJson(Renderer renderer, object value, Arguments arguments)
    {
        var values = arguments.Bind("tojson", 0, "ensure_ascii", "indent", "separators", "sort_keys");
        string? indent = null;
        if (values[1] is not null and not None)
        {
            var width = Text.Of(values[1]!) is null ? Numbers.Index(values[1]!, "the indent of tojson") : 0;
            renderer.Budget.CheckLength(width);
            indent = Text.Of(values[1]!) ?? new string(' ', (int)Math.Max(0, width));
        }

        var separators = values[2] is null or None
            ? [indent is null ? ", " : ",", ": "]
            : Iteration.List(renderer, values[2]!).Select(item => TextArgument.Require(item, "tojson")).ToList();
        if (separators.Count != 2)
        {
            throw TemplateException.Value("the separators of tojson are two: between items, and between key and value");
        }

        var escapes = values[0] is not null && Truth.Of(renderer, values[0]!);
        var sorts = values[3] is not null && Truth.Of(renderer, values[3]!);
        return new JsonText(renderer, escapes, indent, separators[0], separators[1], sorts).Write(value);
    }

    private static object FileSize(Renderer renderer, object value, Arguments arguments)
    {
        var binary = arguments.Bind("filesizeformat", 0, "binary")[0] is { } flag && Truth.Of(renderer, flag);
        var bytes = NumberText.ToFloat(value)
            ?? throw TemplateException.Value("the filter 'filesizeformat' needs a number");
        var unit = binary ? 1024.0 : 1000.0;
        if (bytes == 1 || bytes < unit)
        {
            return bytes == 1 ? "1 Byte"
                : string.Create(CultureInfo.InvariantCulture, $"{Math.Truncate(bytes):0} Bytes");
        }

        string[] prefixes = binary
            ? ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"]
            : ["kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"];
        var step = 0;
        while (step < prefixes.Length - 1 && bytes >= Math.Pow(unit, step + 2))
        {
            step++;
        }

        return double.IsFinite(bytes)
            ? $"{FloatText.Fixed(unit * bytes / Math.Pow(unit, step + 2), 1)} {prefixes[step]}"
            : $"{FloatText.NotFinite(bytes)} {prefixes[step]}";
    }
}
