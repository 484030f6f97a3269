using System.Collections.Frozen;
using LowRank.Tokenization.Templates.Runtime;
using LowRank.Tokenization.Templates.Values;

namespace LowRank.Tokenization.Templates.Library;

/// <summary>The filters by name.</summary>
internal static class FilterTable
{
    // What jinja2 has and this engine has not.
    private static readonly string[] Unsupported = ["urlize", "wordwrap", "random", "pprint", "striptags"];

    private static readonly FrozenDictionary<string, FilterFunction> Filters = TextFilters.All
        .Concat(NumberFilters.All)
        .Concat(SequenceFilters.All)
        .Concat(SelectionFilters.All)
        .Concat(OrderFilters.All)
        .Concat(HtmlFilters.All)
        .ToFrozenDictionary(StringComparer.Ordinal);

    /// <summary>What is wrong with the name of a filter, or null.</summary>
    public static string? Problem(string name) => Filters.ContainsKey(name) ? null
        : Unsupported.Contains(name) ? $"the filter '{name}' is not supported"
        : $"there is no filter named '{name}'";

    /// <summary>Whether a filter exists.</summary>
    public static bool Has(string name) => Filters.ContainsKey(name);

    /// <summary>Applies a filter.</summary>
    public static object Apply(Renderer renderer, string name, object value, Arguments arguments)
    {
        if (!Filters.TryGetValue(name, out var filter))
        {
            throw new TemplateFault(Problem(name)!);
        }

        renderer.Budget.Spend(1);
        Cost.Charge(renderer, value);
        var result = filter(renderer, value, arguments);
        Cost.Charge(renderer, result);
        return result;
    }
}
