namespace LowRank.Recipes;

/// <summary>How a resumed run's settings differ from those of the run it continues.</summary>
internal static class RecipeChanges
{
    /// <summary>The differences between a recipe and the run in its output folder, one sentence each; empty if there is
    /// no run.</summary>
    public static IReadOnlyList<string> SinceStart(Recipe recipe) =>
        Path.Combine(recipe.Output, "recipe.yaml") is var path && File.Exists(path)
            ? Between(SmallFile.ReadText(path), recipe.ToYaml()) : [];

    /// <summary>The keys with different values, one sentence each.</summary>
    /// <param name="earlier">The run's recipe, as <see cref="Recipe.ToYaml"/> wrote it.</param>
    /// <param name="now">The resumed run's recipe.</param>
    public static IReadOnlyList<string> Between(string earlier, string now)
    {
        Dictionary<string, string> before = Values(earlier), after = Values(now);
        return
        [
            .. before.Keys.Union(after.Keys)
                .Where(key => !MayChange(key)) // the data is compared by its content
                .Where(key => before.GetValueOrDefault(key) != after.GetValueOrDefault(key))
                .Select(key =>
                $"{key} was {before.GetValueOrDefault(key, "not set")} when the run began, and is " +
                $"{after.GetValueOrDefault(key, "not set")} now"),
        ];
    }

    private static bool MayChange(string key) => RecipeKeys.All.Any(
        known => known.MayChange && (key == known.Full || key.StartsWith(known.Full + ".", StringComparison.Ordinal)));

    // One key per line, sections by indentation: the format in which recipes are written.
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
