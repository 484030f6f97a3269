using System.Text;
using LowRank.Tokenization.Templates.Runtime;
using LowRank.Tokenization.Templates.Values;

namespace LowRank.Tokenization.Templates.Library;

/// <summary>Methods of strings that remove from their ends or fill them up.</summary>
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

    /// <summary>Centers a text, as Python does: an odd space goes to the left where the width is odd.</summary>
    public static string Center(Renderer renderer, string text, long width) =>
        Pad(renderer, text, width, " ", CenterLeft);

    /// <summary>Removes characters of a set from the ends; spaces where the set is null.</summary>
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
            : throw TemplateFault.Type("The fill character must be exactly one character long");
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
