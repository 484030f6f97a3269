
namespace LowRank.Recipes;

/// <summary>Applies <c>section.key=value</c> settings to a recipe.</summary>
internal static class RecipeOverrides
{
    /// <summary>Applies the settings in order; the last one for a key takes precedence.</summary>
    /// <param name="root">The recipe, modified in place.</param>
    /// <param name="settings">The value is YAML: a number, a string, a list in brackets, a map in braces; an empty
    /// value is null.</param>
    /// <param name="problems">Receives the problems.</param>
    /// <returns>Which keys are set more than once, one sentence each.</returns>
    public static IReadOnlyList<Words> Apply(YamlValue root, IReadOnlyList<string> settings, RecipeProblems problems)
    {
        for (int i = 0; i < settings.Count; i++)
            Apply(root, settings[i], new YamlPlace(settings[i], i, 0, IsOverride: true), problems);
        return
        [
            .. settings.Where(setting => setting.Contains('=', StringComparison.Ordinal))
                .GroupBy(setting => setting[..setting.IndexOf('=', StringComparison.Ordinal)].Trim())
                .Where(key => key.Distinct().Count() > 1)
                .Select(key => Words.Of(
                    $"{key.Key} is set {key.Count()} times; the last holds: {KnownSettings.Override} {key.Last()}")),
        ];
    }

    private static void Apply(YamlValue root, string setting, YamlPlace place, RecipeProblems problems)
    {
        int equals = setting.IndexOf('=', StringComparison.Ordinal);
        string[] keys = equals > 0 ? setting[..equals].Split('.') : [];
        if (keys.Length == 0 || keys.Any(string.IsNullOrWhiteSpace))
        {
            problems.Add(place, "expected section.key=value, for example training.steps=100");
            return;
        }
        int before = problems.Count;
        YamlValue? value = YamlTree.Read(setting[(equals + 1)..], _ => place, problems);
        if (problems.Count > before) return;
        YamlValue at = root;
        foreach (string key in keys[..^1])
        {
            if (at.Find(key) is not { Kind: YamlKind.Map } section)
            {
                section = new YamlValue(YamlKind.Map, place);
                at.Set(Scalar(key, place), section);
            }
            at = section;
        }
        at.Set(Scalar(keys[^1], place), value ?? Scalar("", place));
    }

    private static YamlValue Scalar(string text, YamlPlace place) =>
        new(YamlKind.Scalar, place) { Text = text.Trim(), IsPlain = true };
}
