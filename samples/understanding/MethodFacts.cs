using System.Globalization;
using LowRank.Adapters;
using LowRank.Adapters.Methods;

namespace LowRank.Samples.Understanding;

/// <summary>What the code says of a method: where it comes from, its file, the recipe keys it takes, its own
/// options.</summary>
internal static class MethodFacts
{
    /// <summary>The facts in Markdown.</summary>
    /// <exception cref="InputException">There is no such method.</exception>
    public static string Of(string name)
    {
        IAdapterMethod method = AdapterMethods.Get(name);
        LoraConfig config = method.Configure(new LoraConfig(), new MethodOptions(method));
        string defaults = string.Join(", ", Defaults(method));
        return $"**{method.Title}** ({Link(method.Paper)}). {method.Summary}\n\nFile: `peft_type` " +
            $"{config.PeftType}. Defaults: {defaults}. Keys: {KeysOf(method)}.\n" +
            (method.Options.Count == 0 ? "No options of its own.\n"
                : "\n" + Reports.Show.Table(
                    ["option", "default", "what it does"], method.Options.Select(Row), isText: true));
    }

    private static IEnumerable<string> Defaults(IAdapterMethod method)
    {
        if (method.Keys.Contains("rank")) yield return $"rank {method.DefaultRank}";
        if (method.Keys.Contains("alpha")) yield return $"alpha {method.DefaultAlpha}";
        yield return $"learning rate {Reports.Show.Rate(method.DefaultLearningRate)}";
    }

    // The pairs' common keys stand at the page's top; a method that takes all of them names what it has besides.
    private static string KeysOf(IAdapterMethod method)
    {
        if (method.Keys.Count == 0) return "none but `method` and `method_options`";
        string[] missing = [.. AdapterMethods.PairKeys.Except(method.Keys)],
            besides = [.. method.Keys.Except(AdapterMethods.PairKeys)];
        if (missing.Length > 2) return Keys(method.Keys);
        return "the [pairs' keys](#keys)" + (missing.Length == 0 ? "" : $" without {Keys(missing)}")
            + (besides.Length == 0 ? "" : $", and {Keys(besides)}");
    }

    private static IReadOnlyList<string> Row(MethodOption option) =>
        [$"`{option.Name}`", $"`{Value(option.Default)}`", option.Doc + Limits(option)];

    private static string Limits(MethodOption option)
    {
        if (option.Choices is { } choices) return $" ({string.Join(", ", choices.Select(choice => $"`{choice}`"))})";
        if (option.Type != typeof(int) && option.Type != typeof(double)) return "";
        bool open = option.Most is double.PositiveInfinity or int.MaxValue;
        return open ? $" (at least {Value(option.Least)})" : $" ({Value(option.Least)} to {Value(option.Most)})";
    }

    private static string Value(object? value) => value switch
    {
        null => "none",
        bool flag => flag ? "true" : "false",
        double number when number is > 0 and < 1e-3 => number.ToString("0.#e-0", CultureInfo.InvariantCulture),
        _ => Convert.ToString(value, CultureInfo.InvariantCulture)!,
    };

    private static string Keys(IEnumerable<string> names) => string.Join(", ", names.Select(name => $"`{name}`"));

    private static string Link(string paper) => paper.StartsWith("arXiv ", StringComparison.Ordinal)
        ? $"[{paper}](https://arxiv.org/abs/{paper["arXiv ".Length..]})" : $"[{paper}](https://{paper})";
}
