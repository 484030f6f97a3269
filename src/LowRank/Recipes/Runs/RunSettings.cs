namespace LowRank.Recipes.Runs;

/// <summary>Reads the keys of a run's <c>recipe.yaml</c> without asking whether it could be run again here.</summary>
internal static class RunSettings
{
    /// <summary>Every key with a value, in the file's order.</summary>
    /// <param name="yaml">The file's text.</param>
    /// <exception cref="InputException">It is not YAML.</exception>
    public static IReadOnlyList<RunSetting> Of(string yaml)
    {
        var problems = new RecipeProblems("recipe.yaml");
        YamlValue? tree = YamlTree.Read(yaml, mark => new YamlPlace("recipe.yaml", mark.Line, mark.Column, IsOverride: false), problems);
        problems.ThrowIfAny();
        if (tree is null) return [];
        if (tree.Kind != YamlKind.Map) throw new InputException($"recipe.yaml is {tree}, expected keys.");
        var settings = new List<RunSetting>();
        Collect(tree, "", settings);
        return settings;
    }

    private static void Collect(YamlValue map, string path, List<RunSetting> settings)
    {
        foreach ((YamlValue key, YamlValue value) in map.Entries)
        {
            string full = path.Length == 0 ? key.Text : $"{path}.{key.Text}";
            if (value.Kind == YamlKind.Map && value.Entries.Count > 0) Collect(value, full, settings);
            else settings.Add(new RunSetting(full, Text(value)));
        }
    }

    private static string Text(YamlValue value) => value.Kind switch
    {
        YamlKind.List => $"[{string.Join(", ", value.Items.Select(Text))}]",
        YamlKind.Map => $"{{{string.Join(", ", value.Entries.Select(entry => $"{entry.Key.Text}: {Text(entry.Value)}"))}}}",
        _ when value.IsNull => "null",
        _ => value.Text,
    };
}
