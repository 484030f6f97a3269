using System.Reflection;
using LowRank.Data.Rows;

namespace LowRank.Recipes;

/// <summary>The sources of a recipe's rows.</summary>
internal sealed class RecipeSources
{
    /// <summary>Creates them from a recipe.</summary>
    public RecipeSources(Recipe recipe)
    {
        DataSection data = recipe.Data;
        RowOptions options = RecipeOptions.Rows(data);
        RowSplit? Side(bool heldOut) => data.ValidationShare > 0
            ? new RowSplit(data.ValidationShare, data.SplitSeed, heldOut) : null;
        Weights = data.Weights;
        Train = Weights is null ? [RowSource.From(data.Train, options, Side(false))]
            : [.. data.Train.Select(path => RowSource.From([path], options, Side(false)))];
        Validation = data.ValidationShare > 0 ? RowSource.From(data.Train, options, Side(true))
            : data.Validation.Count > 0 ? RowSource.From(data.Validation, options) : null;
        if (recipe.Comparison is not { } comparison) return;
        Comparison = comparison.Data.Count > 0 ? RowSource.From(comparison.Data, options) : Validation;
    }

    /// <summary>Rejects pipes: data that is read more than once must be in files.</summary>
    /// <exception cref="InputException">The data comes from a pipe.</exception>
    public static void RequireFiles(Recipe recipe)
    {
        string[] pipes =
            [.. recipe.Data.Train.Concat(recipe.Data.Validation).Concat(recipe.Comparison?.Data ?? [])
            .Where(RowFiles.IsReadOnce).Distinct()];
        if (pipes.Length > 0)
            throw new InputException(
                $"{string.Join(", ", pipes)}: the data comes through a pipe, which can be read once, and a " +
                "recipe's data is read several times. Write it to a file.");
    }

    /// <summary>The training sources: one, or one per weight.</summary>
    public IReadOnlyList<RowSource> Train { get; }

    /// <summary>The proportion of each in the mixture; null uses every row once.</summary>
    public IReadOnlyList<double>? Weights { get; }

    /// <summary>The evaluation source; null for none.</summary>
    public RowSource? Validation { get; }

    /// <summary>The comparison source; null for none.</summary>
    public RowSource? Comparison { get; }
}

/// <summary>Applies a recipe over the one that it is based on: <c>base: other.yaml</c>, or <c>base:
/// preset:NAME</c>.</summary>
/// <remarks>Sections are merged key by key, and the nearer file's value takes precedence; lists are replaced; an empty
/// key takes its default. Relative paths are relative to the file that contains them.</remarks>
internal static class RecipeInheritance
{
    private const string Key = "base";
    private const int Deepest = 8;

    // Only one key of each pair may be given: the nearer file's choice removes the other file's, and the last override
    // removes both.
    private static readonly (string One, string Other)[] Exclusive =
        [.. RecipeKeys.All.Where(key => key.Replaces is not null).Select(key => (key.Name, key.Replaces!))];

    /// <summary>Replaces <c>base</c> with the recipe it refers to.</summary>
    /// <param name="root">The recipe, modified in place.</param>
    /// <param name="folder">The folder that its paths are relative to.</param>
    /// <param name="problems">Receives problems in any of the files.</param>
    public static void Apply(YamlValue root, string folder, RecipeProblems problems) =>
        Apply(root, folder, [], problems);

    /// <summary>Lets an override remove the key that excludes it, as a nearer file does, and the later of two overrides
    /// the earlier one. Two such keys in the same file are a contradiction.</summary>
    /// <param name="root">The recipe with overrides applied, modified in place.</param>
    /// <returns>What was removed and why, one sentence each.</returns>
    public static IReadOnlyList<string> PreferOverrides(YamlValue root)
    {
        var notes = new List<string>();
        foreach ((YamlValue key, YamlValue section) in root.Entries.Where(entry => entry.Value.Kind == YamlKind.Map))
            foreach ((string one, string other) in Exclusive)
            {
                if (!Given(section, one) || !Given(section, other) || section.Find(one) is not { } first
                    || section.Find(other) is not { } second || !(first.Place.IsOverride || second.Place.IsOverride))
                    continue;
                bool isFirst = first.Place.IsOverride
                    && (!second.Place.IsOverride || first.Place.Line > second.Place.Line);
                (YamlValue kept, YamlValue removed) = isFirst ? (first, second) : (second, first);
                section.Remove(isFirst ? other : one);
                notes.Add(
                    $"--set {kept.Place.Name} replaces {key.Text}.{(isFirst ? other : one)} ({removed.Place}): " +
                    "only one of the two can be given");
            }
        return notes;
    }

    private static void Apply(YamlValue root, string folder, IReadOnlyList<string> chain, RecipeProblems problems)
    {
        if (root.Find(Key) is not { } named) return;
        root.Remove(Key);
        if (named.IsNull) return;
        if (named is not { Kind: YamlKind.Scalar, Text.Length: > 0 })
        {
            problems.Add(named.Place, $"{Key} is {named}, expected a recipe's file or preset: and a name");
            return;
        }
        if (Open(named, folder, chain, problems) is not var (text, name, place)) return;
        YamlValue? below =
            YamlTree.Read(
                text, mark => new YamlPlace(name, mark.Line, mark.Column, IsOverride: false) { Folder = place },
                problems);
        if (below is null or { IsNull: true }) return;
        if (below.Kind != YamlKind.Map)
        {
            problems.Add(below.Place, $"the recipe is {below}, expected keys with values");
            return;
        }
        Apply(below, place, [.. chain, name], problems);
        Merge(root, below);
    }

    private static (string Text, string Name, string Folder)? Open(
        YamlValue named, string folder, IReadOnlyList<string> chain, RecipeProblems problems)
    {
        if (named.Text.StartsWith(RecipePresets.Prefix, StringComparison.Ordinal))
        {
            string preset = named.Text[RecipePresets.Prefix.Length..].Trim();
            if (RecipePresets.Names.Contains(preset)) return (RecipePresets.Text(preset), named.Text, folder);
            problems.Add(named.Place,
                $"{Key} names the preset \"{preset}\", which there is not; there are " +
                $"{string.Join(", ", RecipePresets.Names)}");
            return null;
        }
        string path = Path.GetFullPath(named.Text.Replace("\0", "", StringComparison.Ordinal), folder);
        if (chain.Contains(path))
            problems.Add(named.Place, $"{Key} leads back to {path}: {string.Join(" → ", [.. chain, path])}");
        else if (chain.Count >= Deepest) problems.Add(named.Place, $"{Key} leads through more than {Deepest} files");
        else if (!File.Exists(path)) problems.Add(named.Place, $"{Key} is {named}, and {path} was not found");
        else return (SmallFile.ReadText(path, Recipe.MostBytes), path, Path.GetDirectoryName(path)!);
        return null;
    }

    private static void Merge(YamlValue near, YamlValue far)
    {
        foreach ((YamlValue key, YamlValue value) in far.Entries)
        {
            if (Exclusive.Any(
                pair => (pair.One == key.Text && Given(near, pair.Other))
                || (pair.Other == key.Text && Given(near, pair.One))))
                continue;
            YamlValue? own = near.Find(key.Text);
            if (own is null) near.Set(key, value);
            else if (own.Kind == YamlKind.Map && value.Kind == YamlKind.Map) Merge(own, value);
        }
    }

    // A fraction of 0 holds nothing out and replaces nothing.
    private static bool Given(YamlValue map, string key) =>
        map.Find(key) is { IsNull: false } value && !(key == "validation_share" && value.Text == "0");
}

/// <summary>Applies <c>section.key=value</c> settings to a recipe.</summary>
internal static class RecipeOverrides
{
    /// <summary>Applies the settings in order; the last one for a key takes precedence.</summary>
    /// <param name="root">The recipe, modified in place.</param>
    /// <param name="settings">The value is YAML: a number, a string, a list in brackets, a map in braces; an empty
    /// value is null.</param>
    /// <param name="problems">Receives the problems.</param>
    /// <returns>Which keys are set more than once, one sentence each.</returns>
    public static IReadOnlyList<string> Apply(YamlValue root, IReadOnlyList<string> settings, RecipeProblems problems)
    {
        for (int i = 0; i < settings.Count; i++)
            Apply(root, settings[i], new YamlPlace(settings[i], i, 0, IsOverride: true), problems);
        return
        [
            .. settings.Where(setting => setting.Contains('=', StringComparison.Ordinal))
                .GroupBy(setting => setting[..setting.IndexOf('=', StringComparison.Ordinal)].Trim())
                .Where(key => key.Distinct().Count() > 1)
                .Select(key => $"{key.Key} is set {key.Count()} times; the last holds: --set {key.Last()}"),
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

/// <summary>Good default settings that a recipe can be based on: <c>base: preset:NAME</c>. A preset is a YAML file in
/// the library.</summary>
public static class RecipePresets
{
    /// <summary>The prefix of a preset's name in <c>base</c>.</summary>
    public const string Prefix = "preset:";

    private const string Folder = "LowRank.Recipes.Presets.", Extension = ".yaml";

    /// <summary>The names, sorted.</summary>
    public static IReadOnlyList<string> Names { get; } =
        [.. typeof(RecipePresets).Assembly.GetManifestResourceNames()
            .Where(name => name.StartsWith(Folder, StringComparison.Ordinal))
            .Select(name => name[Folder.Length..^Extension.Length]).Order(StringComparer.Ordinal)];

    /// <summary>A preset's YAML.</summary>
    /// <exception cref="InputException">The preset is unknown; the message lists the known ones.</exception>
    public static string Text(string name)
    {
        using Stream? stream = Assembly.GetExecutingAssembly().GetManifestResourceStream(Folder + name + Extension);
        if (stream is null)
            throw new InputException($"There is no preset \"{name}\"; there are {string.Join(", ", Names)}.");
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }

    /// <summary>The purpose of a preset: its first comment.</summary>
    public static string Summary(string name) => Text(name).Split('\n')[0].TrimStart('#', ' ');
}
