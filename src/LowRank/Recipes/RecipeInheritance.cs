
namespace LowRank.Recipes;

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
    public static IReadOnlyList<Words> PreferOverrides(YamlValue root)
    {
        var notes = new List<Words>();
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
                    $"{KnownSettings.Override} {kept.Place.Name} replaces {key.Text}.{(isFirst ? other : one)} " +
                    $"({removed.Place.Words}): only one of the two can be given");
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
