using System.Collections.Frozen;
using LowRank.Tokenization.Templates.Runtime;
using LowRank.Tokenization.Templates.Values;

namespace LowRank.Tokenization.Templates.Library;

/// <summary>The methods of strings.</summary>
internal static class TextMethods
{
    // What Python's strings have and this engine has not.
    private static readonly FrozenSet<string> Unsupported = FrozenSet.ToFrozenSet(
        ["casefold", "encode", "translate", "maketrans", "isidentifier"]);

    private static readonly FrozenDictionary<string, TextMethod> Methods = TextCaseMethods.All
        .Concat(TextSearchMethods.All)
        .Concat(TextSplitMethods.All)
        .Concat(TextEdgeMethods.All)
        .ToFrozenDictionary(StringComparer.Ordinal);

    // Arguments that markup escapes before its method sees them.
    private static readonly FrozenDictionary<string, int> Escaped = new Dictionary<string, int>
    {
        ["replace"] = 1,
        ["ljust"] = 1,
        ["rjust"] = 1,
        ["center"] = 1,
    }.ToFrozenDictionary(StringComparer.Ordinal);

    /// <summary>A method, or null where there is none of that name.</summary>
    public static FilterFunction? Find(string name)
    {
        if (Unsupported.Contains(name))
        {
            return (_, _, _) => throw TemplateFault.Unsupported($"the method '{name}' of strings");
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
            throw TemplateFault.Unsupported($"the method '{name}' of text marked as safe");
        }

        return !Escaped.TryGetValue(name, out var index) || index >= arguments.Positional.Count
            || arguments.Positional[index] is not string text
            ? arguments
            : arguments with
            {
                Positional = [.. arguments.Positional.Select((value, i) => i == index ? MarkupValue.Escape(text) : value)],
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
