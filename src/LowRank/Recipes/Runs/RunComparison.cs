namespace LowRank.Recipes.Runs;

/// <summary>Several runs side by side.</summary>
public static class RunComparison
{
    /// <summary>The run of the lowest held-out loss at any evaluation; null without evaluations. Of equals the first.</summary>
    public static RunRecord? Best(IEnumerable<RunRecord> runs) => runs.Where(run => BestLoss(run) is not null).MinBy(run => BestLoss(run)!.Value.Value);

    /// <summary>The lowest held-out loss of a run; null without evaluations.</summary>
    public static MetricPoint? BestLoss(RunRecord run) => run.Metrics.Series.TryGetValue("eval_loss", out MetricSeries? losses) ? losses.LowestOfSteps : null;

    /// <summary>Every key of any recipe with its value in each run, null where a recipe lacks it. Keys with other values come first; each in its recipe's order.</summary>
    /// <param name="runs">Runs.</param>
    public static IReadOnlyList<(string Key, IReadOnlyList<string?> Values, bool Differs)> Settings(IReadOnlyList<RunRecord> runs)
    {
        List<Dictionary<string, string>> byRun = [.. runs.Select(run => run.Settings.DistinctBy(setting => setting.Key).ToDictionary(setting => setting.Key, setting => setting.Value))];
        // A run without a recipe differs from nothing: it is not known.
        bool Differs(IReadOnlyList<string?> values) => values.Where((_, place) => byRun[place].Count > 0).Distinct().Count() > 1;
        return
        [
            .. runs.SelectMany(run => run.Settings).Select(setting => setting.Key).Distinct()
                .Select(key => (key, (IReadOnlyList<string?>)[.. byRun.Select(settings => settings.GetValueOrDefault(key))]))
                .Select(row => (row.key, row.Item2, Differs(row.Item2)))
                .OrderByDescending(row => row.Item3),
        ];
    }
}
