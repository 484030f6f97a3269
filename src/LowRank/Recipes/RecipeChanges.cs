namespace LowRank.Recipes;

/// <summary>What a resumed run is asked to do otherwise than the run it goes on with.</summary>
internal static class RecipeChanges
{
    // They say how long a run goes on, and what is kept, measured and shown of it; not what is learned. The data is
    // compared by its content.
    private static readonly HashSet<string> Free =
    [
        "model", "device", "output", "training.eval_every", "training.eval_batch_size", "training.init_adapter",
            "training.save_every", "training.keep_checkpoints", "training.tensorboard",
        "training.max_skipped_steps", "training.patience", "training.min_delta", "training.max_time",
            "training.max_tokens",
    ];

    /// <summary>The keys with other values, a sentence each.</summary>
    /// <param name="earlier">The run's recipe, as <see cref="Recipe.ToYaml"/> wrote it.</param>
    /// <param name="now">That of the resumed run.</param>
    public static IReadOnlyList<string> Between(string earlier, string now)
    {
        Dictionary<string, string> before = Values(earlier), after = Values(now);
        return
        [
            .. before.Keys.Union(after.Keys)
                .Where(key => !Free.Contains(key) && !key.StartsWith("data.", StringComparison.Ordinal)
                && !key.StartsWith("comparison.", StringComparison.Ordinal))
                .Where(key => before.GetValueOrDefault(key) != after.GetValueOrDefault(key))
                .Select(key =>
                $"{key} was {before.GetValueOrDefault(key, "not set")} when the run began, and is " +
                $"{after.GetValueOrDefault(key, "not set")} now"),
        ];
    }

    // One key per line, sections by their indent: as recipes are written.
    private static Dictionary<string, string> Values(string yaml)
    {
        var values = new Dictionary<string, string>();
        var sections = new List<string>();
        foreach (string line in yaml.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            string text = line.TrimStart(' ');
            int colon = text.IndexOf(':', StringComparison.Ordinal), depth = (line.Length - text.Length) / 2;
            if (colon < 0) continue;
            sections.RemoveRange(Math.Min(depth, sections.Count), sections.Count - Math.Min(depth, sections.Count));
            if (colon == text.Length - 1) sections.Add(text[..colon]);
            else values[string.Join('.', sections.Append(text[..colon]))] = text[(colon + 1)..].Trim();
        }
        return values;
    }
}
