using LowRank.Tokenization.Templates.Runtime;
using LowRank.Tokenization.Templates.Values;

namespace LowRank.Tokenization.Templates.Library;

/// <summary>The filters that have to do with HTML; without automatic escaping they matter for what is added to their text.</summary>
internal static class HtmlFilters
{
    /// <summary>The filters by name.</summary>
    public static IReadOnlyDictionary<string, FilterFunction> All { get; } = new Dictionary<string, FilterFunction>
    {
        ["safe"] = (renderer, value, arguments) => Safe(renderer, value, arguments),
        ["escape"] = (renderer, value, arguments) => Escape(renderer, value, arguments, false),
        ["e"] = (renderer, value, arguments) => Escape(renderer, value, arguments, false),
        ["forceescape"] = (renderer, value, arguments) => Escape(renderer, value, arguments, true),
        ["xmlattr"] = Attributes,
    };

    private static MarkupValue Safe(Renderer renderer, object value, Arguments arguments)
    {
        arguments.BindPositional("safe", 0, 0);
        return new MarkupValue(Display.Text(renderer, value));
    }

    private static MarkupValue Escape(Renderer renderer, object value, Arguments arguments, bool force)
    {
        arguments.BindPositional("escape", 0, 0);
        return value is MarkupValue markup && !force
            ? markup
            : new MarkupValue(MarkupValue.Escape(Display.Text(renderer, value)));
    }

    private static object Attributes(Renderer renderer, object value, Arguments arguments)
    {
        var space = arguments.Bind("xmlattr", 0, "autospace")[0] is not { } flag || Truth.Of(renderer, flag);
        if (value is not DictionaryValue dictionary)
        {
            throw TemplateFault.Type($"the filter 'xmlattr' needs a dictionary, not {TypeNames.Of(value)}");
        }

        var parts = new List<string>();
        foreach (var (key, item) in dictionary.Items)
        {
            if (item is None or UndefinedValue)
            {
                continue;
            }

            var name = TextArgument.Require(key, "xmlattr");
            if (name.Any(character => character is '/' or '>' or '=' or ' ' or (>= '\t' and <= '\r')))
            {
                throw TemplateFault.Value($"Invalid character in attribute name: {Display.Quote(name)}");
            }

            parts.Add($"{Escaped(renderer, key)}=\"{Escaped(renderer, item)}\"");
        }

        return (space && parts.Count > 0 ? " " : "") + string.Join(' ', parts);
    }

    private static string Escaped(Renderer renderer, object value) => value is MarkupValue markup
        ? markup.Text
        : MarkupValue.Escape(Display.Text(renderer, value));
}
