namespace LowRank.Recipes.Runs;

/// <summary>Reads the keys of a run's <c>recipe.yaml</c> without checking whether it could be run here.</summary>
internal static class RunSettings
{
    /// <summary>Every full key, such as training.learning_rate, with its value in YAML, in the file's order.</summary>
    /// <param name="yaml">The file's text.</param>
    /// <exception cref="InputException">The text is not YAML.</exception>
    public static IReadOnlyList<KeyValuePair<string, string>> Parse(string yaml)
    {
        var problems = new RecipeProblems("recipe.yaml");
        YamlValue? tree =
            YamlTree.Read(
                yaml, mark => new YamlPlace("recipe.yaml", mark.Line, mark.Column, IsOverride: false), problems);
        problems.ThrowIfAny();
        if (tree is null) return [];
        if (tree.Kind != YamlKind.Map) throw new InputException($"recipe.yaml is {tree}, expected keys.");
        var settings = new List<KeyValuePair<string, string>>();
        Collect(tree, "", settings);
        return settings;
    }

    private static void Collect(YamlValue map, string path, List<KeyValuePair<string, string>> settings)
    {
        foreach ((YamlValue key, YamlValue value) in map.Entries)
        {
            string full = path.Length == 0 ? key.Text : $"{path}.{key.Text}";
            if (value.Kind == YamlKind.Map && value.Entries.Count > 0) Collect(value, full, settings);
            else settings.Add(KeyValuePair.Create(full, Text(value)));
        }
    }

    private static string Text(YamlValue value) => value.Kind switch
    {
        YamlKind.List => $"[{string.Join(", ", value.Items.Select(Text))}]",
        YamlKind.Map =>
        $"{{{string.Join(", ", value.Entries.Select(entry => $"{entry.Key.Text}: {Text(entry.Value)}"))}}}",
        _ when value.IsNull => "null",
        _ => value.Text,
    };
}

/// <summary>Several runs side by side.</summary>
public static class RunComparison
{
    /// <summary>The run with the lowest held-out loss at any evaluation, the first of equal ones; null without
    /// evaluations.</summary>
    public static RunRecord? Best(IEnumerable<RunRecord> runs) =>
        runs.Where(run => BestLoss(run) is not null).MinBy(run => BestLoss(run)!.Value.Value);

    /// <summary>The lowest held-out loss of a run; null without evaluations.</summary>
    public static MetricPoint? BestLoss(RunRecord run) =>
        run.Metrics.Series.TryGetValue("eval_loss", out MetricSeries? losses) ? losses.LowestOfSteps : null;

    /// <summary>Every key of any recipe with its value in each run, null if a recipe lacks it. Keys with different
    /// values come first; each in its recipe's order.</summary>
    /// <param name="runs">The runs.</param>
    public static IReadOnlyList<(string Key, IReadOnlyList<string?> Values, bool Differs)> Settings(
        IReadOnlyList<RunRecord> runs)
    {
        List<Dictionary<string, string>> byRun =
            [.. runs.Select(
                run => run.Settings.DistinctBy(setting => setting.Key)
                .ToDictionary(setting => setting.Key, setting => setting.Value))];
        // A run without a recipe does not count as different: its values are unknown.
        bool Differs(IReadOnlyList<string?> values) =>
            values.Where((_, place) => byRun[place].Count > 0).Distinct().Count() > 1;
        return
        [
            .. runs.SelectMany(run => run.Settings).Select(setting => setting.Key).Distinct()
                .Select(key =>
                (key, (IReadOnlyList<string?>)[.. byRun.Select(settings => settings.GetValueOrDefault(key))]))
                .Select(row => (row.key, row.Item2, Differs(row.Item2)))
                .OrderByDescending(row => row.Item3),
        ];
    }
}
