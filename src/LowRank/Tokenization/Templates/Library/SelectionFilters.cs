using LowRank.Tokenization.Templates.Runtime;
using LowRank.Tokenization.Templates.Values;

namespace LowRank.Tokenization.Templates.Library;

/// <summary>The filters that apply a test or a filter to every item. They are lazy: an item is looked at when it is asked for.</summary>
internal static class SelectionFilters
{
    /// <summary>The filters by name.</summary>
    public static IReadOnlyDictionary<string, FilterFunction> All { get; } = new Dictionary<string, FilterFunction>
    {
        ["map"] = (renderer, value, arguments) => IteratorValue.Generator(Map(renderer, value, arguments)),
        ["select"] = Selection(false, true),
        ["reject"] = Selection(false, false),
        ["selectattr"] = Selection(true, true),
        ["rejectattr"] = Selection(true, false),
    };

    private static IEnumerable<object> Map(Renderer renderer, object value, Arguments arguments)
    {
        if (!Truth.Of(renderer, value))
        {
            yield break;
        }

        var map = Mapping(renderer, arguments);
        foreach (var item in Iteration.Of(renderer, value))
        {
            yield return map(item);
        }
    }

    private static Func<object, object> Mapping(Renderer renderer, Arguments arguments)
    {
        if (arguments.Positional.Count == 0 && arguments.Named.Any(argument => argument.Key == "attribute"))
        {
            var values = arguments.Bind("map", 0, "attribute", "default");
            return AttributePath.Reader(renderer, values[0], values[1]);
        }

        if (arguments.Positional.Count == 0)
        {
            throw new TemplateFault("the filter 'map' requires the name of a filter, or attribute=");
        }

        var name = TextArgument.Require(arguments.Positional[0], "map");
        var rest = arguments with { Positional = [.. arguments.Positional.Skip(1)] };
        return item => FilterTable.Apply(renderer, name, item, rest);
    }

    private static FilterFunction Selection(bool byAttribute, bool expected) => (renderer, value, arguments) =>
        IteratorValue.Generator(Select(renderer, value, arguments, byAttribute, expected));

    private static IEnumerable<object> Select(
        Renderer renderer, object value, Arguments arguments, bool byAttribute, bool expected)
    {
        if (!Truth.Of(renderer, value))
        {
            yield break;
        }

        var passes = Condition(renderer, arguments, byAttribute);
        foreach (var item in Iteration.Of(renderer, value))
        {
            if (passes(item) == expected)
            {
                yield return item;
            }
        }
    }

    private static Func<object, bool> Condition(Renderer renderer, Arguments arguments, bool byAttribute)
    {
        var used = byAttribute ? 1 : 0;
        if (arguments.Positional.Count < used)
        {
            throw new TemplateFault("the name of the attribute is missing");
        }

        var read = AttributePath.Reader(renderer, byAttribute ? arguments.Positional[0] : null);
        if (arguments.Positional.Count == used)
        {
            return item => Truth.Of(renderer, read(item));
        }

        var name = TextArgument.Require(arguments.Positional[used], "select");
        var rest = arguments with { Positional = [.. arguments.Positional.Skip(used + 1)] };
        return item => TestTable.Apply(renderer, name, read(item), rest);
    }
}
