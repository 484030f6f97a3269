using LowRank.Recipes.Runs;

namespace LowRank.Cli.Report;

/// <summary>The charts that the measurements of some runs give.</summary>
internal static class ChartList
{
    private const string HeldOut = "eval_";

    // Counts that are no course, or that other charts show.
    private static readonly HashSet<string> NotDrawn = ["tokens", "eval_tokens", "elapsed", "elapsed_seconds", "seconds", "epoch"];

    /// <summary>The charts: losses first, then what drives them, then what they cost, then the task's own metrics and anything else that was measured.</summary>
    public static IReadOnlyList<Chart> Of(IReadOnlyList<RunRecord> runs)
    {
        List<Chart?> charts =
        [
            Make(runs, "Loss", 1, ("loss", "training"), ("eval_loss", "held out")),
            Make(runs, "Learning rate", 1, ("learning_rate", "learning rate")),
            Make(runs, "Gradient norm", 1, ("grad_norm", "gradient norm")),
            Make(runs, "Tokens a second", 1, ("tokens_per_second", "tokens a second")),
        ];
        string[] names = [.. runs.SelectMany(run => run.Metrics.Series.Keys).Distinct().Order(StringComparer.Ordinal)];
        string[] memory = [.. names.Where(name => name.Contains("memory", StringComparison.OrdinalIgnoreCase))];
        charts.Add(Make(runs, "Memory (GB)", 1e9, [.. memory.Select(name => (name, Words(name)))]));
        HashSet<string> drawn = [.. memory, "loss", "eval_loss", "learning_rate", "grad_norm", "tokens_per_second", .. NotDrawn];
        charts.AddRange(names.Where(name => !drawn.Contains(name)).OrderByDescending(name => name.StartsWith(HeldOut, StringComparison.Ordinal))
            .Select(name => Make(runs, Heading(name), 1, (name, Words(name)))));
        return [.. charts.OfType<Chart>().Select((chart, place) => chart with { Id = $"chart-{place + 1}" })];
    }

    private static Chart? Make(IReadOnlyList<RunRecord> runs, string title, double divisor, params (string Series, string Words)[] quantities)
    {
        List<ChartLine> lines =
        [
            .. from place in Enumerable.Range(0, runs.Count)
               from quantity in quantities
               let series = runs[place].Metrics.Series.GetValueOrDefault(quantity.Series)
               where series is { Count: > 0 }
               select new ChartLine(runs.Count == 1 ? quantity.Words : quantities.Length == 1 ? runs[place].Name : $"{runs[place].Name}, {quantity.Words}",
                   place, quantity.Series.StartsWith(HeldOut, StringComparison.Ordinal), series),
        ];
        return lines.Count == 0 ? null : new Chart("", title, lines, divisor);
    }

    private static string Heading(string name) =>
        name.StartsWith(HeldOut, StringComparison.Ordinal) ? $"Held-out {Words(name[HeldOut.Length..])}" : name[..1].ToUpperInvariant() + Words(name)[1..];

    private static string Words(string name) => name.Replace('_', ' ') is var words && words.EndsWith(" bytes", StringComparison.Ordinal) ? words[..^6] : words;
}
