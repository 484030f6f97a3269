using LowRank.Tokenization.Templates.Runtime;
using LowRank.Tokenization.Templates.Values;

namespace LowRank.Tokenization.Templates.Library;

/// <summary>The filters that order, group or single out items.</summary>
internal static class OrderFilters
{
    private static readonly string[] GroupNames = ["grouper", "list"];

    /// <summary>The filters by name.</summary>
    public static IReadOnlyDictionary<string, FilterFunction> All { get; } = new Dictionary<string, FilterFunction>
    {
        ["sort"] = Sort,
        ["dictsort"] = DictionarySort,
        ["unique"] = Unique,
        ["groupby"] = GroupBy,
        ["min"] = (renderer, value, arguments) => Extreme(renderer, value, arguments, "min", false),
        ["max"] = (renderer, value, arguments) => Extreme(renderer, value, arguments, "max", true),
    };

    private static object Sort(Renderer renderer, object value, Arguments arguments)
    {
        var values = arguments.Bind("sort", 0, "reverse", "case_sensitive", "attribute");
        var key = AttributePath.KeyReader(renderer, values[2], IsTrue(renderer, values[1]));
        return new ListValue(Sorting.Sort(renderer, Iteration.Of(renderer, value), key, IsTrue(renderer, values[0])));
    }

    private static object DictionarySort(Renderer renderer, object value, Arguments arguments)
    {
        var values = arguments.Bind("dictsort", 0, "case_sensitive", "by", "reverse");
        var place = values[1] is null ? 0 : Text.Of(values[1]!) switch
        {
            "key" => 0,
            "value" => 1,
            _ => throw new TemplateFault("the filter 'dictsort' sorts by \"key\" or \"value\""),
        };
        if (value is UndefinedValue undefined)
        {
            throw undefined.Use();
        }

        var dictionary = value as DictionaryValue
            ?? throw TemplateFault.Type($"the filter 'dictsort' needs a dictionary, not {TypeNames.Of(value)}");
        var caseSensitive = IsTrue(renderer, values[0]);
        return new ListValue(Sorting.Sort(
            renderer,
            new DictionaryView(dictionary, DictionaryPart.Items).Items,
            item => AttributePath.Fold(((TupleValue)item).Items[place], caseSensitive),
            IsTrue(renderer, values[2])));
    }

    private static object Unique(Renderer renderer, object value, Arguments arguments)
    {
        var values = arguments.Bind("unique", 0, "case_sensitive", "attribute");
        return IteratorValue.Generator(Unique(renderer, value, values[1], IsTrue(renderer, values[0])));
    }

    private static IEnumerable<object> Unique(Renderer renderer, object value, object? attribute, bool caseSensitive)
    {
        var read = AttributePath.Reader(renderer, attribute);
        var seen = new HashSet<object>(renderer.Keys);
        foreach (var item in Iteration.Of(renderer, value))
        {
            if (seen.Add(AttributePath.Fold(read(item), caseSensitive)))
            {
                yield return item;
            }
        }
    }

    private static object GroupBy(Renderer renderer, object value, Arguments arguments)
    {
        var values = arguments.Bind("groupby", 1, "attribute", "default", "case_sensitive");
        var read = AttributePath.Reader(renderer, values[0], values[1]);
        var caseSensitive = IsTrue(renderer, values[2]);
        var groups = new List<(object Key, List<object> Items)>();
        foreach (var item in Sorting.Sort(
            renderer, Iteration.Of(renderer, value), item => AttributePath.Fold(read(item), caseSensitive)))
        {
            var key = AttributePath.Fold(read(item), caseSensitive);
            if (groups.Count == 0 || !Comparison.Equal(renderer, groups[^1].Key, key))
            {
                groups.Add((key, []));
            }

            groups[^1].Items.Add(item);
        }

        // The key is spelled as in the first item of its group.
        return new ListValue([.. groups.Select(group =>
            new TupleValue([read(group.Items[0]), new ListValue(group.Items)], GroupNames))]);
    }

    private static object Extreme(Renderer renderer, object value, Arguments arguments, string name, bool largest)
    {
        var values = arguments.Bind(name, 0, "case_sensitive", "attribute");
        var read = AttributePath.Reader(renderer, values[1]);
        object? best = null;
        object? bestKey = null;
        foreach (var item in Iteration.Of(renderer, value))
        {
            var key = AttributePath.Fold(read(item), IsTrue(renderer, values[0]));
            if (bestKey is null || (largest
                ? Comparison.Less(renderer, bestKey, key)
                : Comparison.Less(renderer, key, bestKey)))
            {
                (best, bestKey) = (item, key);
            }
        }

        return best ?? new UndefinedValue("No aggregated item, sequence was empty");
    }

    private static bool IsTrue(Renderer renderer, object? flag) => flag is not null && Truth.Of(renderer, flag);
}
