using LowRank.Tokenization.Templates.Runtime;
using LowRank.Tokenization.Templates.Values;

namespace LowRank.Tokenization.Templates.Library;

/// <summary>The methods of dictionaries that change nothing.</summary>
internal static class DictionaryMethods
{
    /// <summary>A method, or null where there is none of that name.</summary>
    public static FilterFunction? Find(string name) => name switch
    {
        "get" => Get,
        "items" => View("items", DictionaryPart.Items),
        "keys" => View("keys", DictionaryPart.Keys),
        "values" => View("values", DictionaryPart.Values),
        "copy" => (_, value, arguments) =>
        {
            arguments.BindPositional("copy", 0, 0);
            return value;
        },
        "fromkeys" => (_, _, _) => throw TemplateFault.Unsupported("the method 'fromkeys' of dictionaries"),
        _ => null,
    };

    private static object Get(Renderer renderer, object value, Arguments arguments)
    {
        var values = arguments.BindPositional("get", 1, 2);
        return ((DictionaryValue)value).Items.TryGetValue(values[0]!, out var found) ? found : values[1] ?? None.Value;
    }

    private static FilterFunction View(string name, DictionaryPart part) => (_, value, arguments) =>
    {
        arguments.BindPositional(name, 0, 0);
        return new DictionaryView((DictionaryValue)value, part);
    };
}
