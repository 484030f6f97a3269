using LowRank.Data.Rows;
using LowRank.Hub;
using LowRank.Models;

namespace LowRank.Recipes;

/// <summary>Converts YAML to a <see cref="Recipe"/> according to the declarations of its keys.</summary>
internal sealed class RecipeReader
{
    /// <summary>A recipe with every key at its default and required keys empty.</summary>
    public static Recipe Empty { get; } = new() { Model = "", Data = new DataSection { Train = [] }, Output = "" };

    private readonly YamlValue root;
    private readonly RecipeProblems problems;
    private readonly RecipePaths paths;
    private readonly Dictionary<string, YamlPlace> given = [];

    private RecipeReader(YamlValue root, string folder, RecipeProblems problems)
    {
        this.root = root;
        this.problems = problems;
        paths = new RecipePaths(folder, problems);
    }

    public static Recipe Read(
        string text, string folder, IReadOnlyList<string> overrides, string name, bool looksForFiles = false,
        Wording? origin = null)
    {
        var found = new RecipeProblems(name, hasPlaces: origin is null);
        YamlValue? root =
            YamlTree.Read(text, mark => new YamlPlace(name, mark.Line, mark.Column, IsOverride: false), found);
        if (root is null or { IsNull: true })
        {
            found.ThrowIfAny(); // it is not YAML; otherwise it is empty
            root = new YamlValue(YamlKind.Map, new YamlPlace(name, 1, 1, IsOverride: false));
        }
        if (root.Kind != YamlKind.Map)
        {
            found.Add(root.Place, $"the recipe is {root}, expected keys with values: model, data, output");
            found.ThrowIfAny();
        }
        RecipeInheritance.Apply(root, folder, found);
        IReadOnlyList<Words> notes = RecipeOverrides.Apply(root, overrides, found),
            replaced = RecipeInheritance.PreferOverrides(root);
        return new RecipeReader(root, folder, found).Read(looksForFiles, Empty with { Origin = origin })
            with { ReadingNotes = [.. notes, .. replaced] };
    }

    private Recipe Read(bool looksForFiles, Recipe empty)
    {
        Recipe recipe = ReadSection("", root, empty) with { Given = given };
        foreach (RecipeKey key in RecipeKeys.All)
            if (!given.ContainsKey(key.Full)
                && (key.Section.Length == 0 || RecipeKeys.Get(key.Section).IsWritten(recipe)))
                recipe = key.Complete(recipe);
        var choices = new RecipeChoices(recipe, given.ContainsKey)
            { HasData = root.Find("data")?.Kind == YamlKind.Map };
        foreach (RecipeKey key in RecipeKeys.All)
            if (given.TryGetValue(key.Full, out YamlPlace place)
                && (key.Refusal(choices) ?? key.Invalid(recipe)) is { } reason) // nothing is ignored in silence
                problems.Add(place, new Problem($"{key.Setting} {reason}") { Setting = key.Setting });
        if (looksForFiles && problems.Count > 0) ReportMissing();
        problems.ThrowIfAny();
        return recipe;
    }

    private Recipe ReadSection(string path, YamlValue section, Recipe recipe)
    {
        foreach (RecipeKey key in RecipeKeys.Sections[path])
        {
            if (section.Find(key.Name) is not { IsNull: false } value)
            {
                if (Missing(key, recipe) is { } missing) problems.Add(
                        section.Place, new Problem($"{key.Setting} {missing}") { Setting = key.Setting });
                continue;
            }
            given[key.Full] = value.Place;
            var asked = new GivenValue(value, key.Setting, problems, paths);
            if (key.Schema is null && value.Kind != YamlKind.Map)
            {
                asked.Wrong("a section of keys");
                continue;
            }
            recipe = key.Read(recipe, asked);
            if (key.Schema is null) recipe = ReadSection(key.Full, value, recipe);
        }
        RejectUnknown(path, section);
        return recipe;
    }

    private static string? Missing(RecipeKey key, Recipe recipe) =>
        key.Required is { } expected ? $"is missing, expected {expected}" : key.Missing(recipe);

    private void RejectUnknown(string path, YamlValue section)
    {
        foreach ((YamlValue key, YamlValue _) in section.Entries)
            if (!RecipeKeys.Sections[path].Any(known => known.Name == key.Text))
                problems.Add(key.Place, "keys that recipes do not have",
                    () => $"{RecipeKeys.Full(path, YamlValue.Short(key.Text))} is not a key of a recipe; " +
                    $"{RecipeKeys.Advice(path, key.Text, name => section.PlaceOf(name))}");
    }

    // Files are checked when a run is prepared; a recipe that gets no further reports missing ones immediately.
    private void ReportMissing()
    {
        if (root.Find("model") is { Kind: YamlKind.Scalar, IsNull: false, Text.Length: > 0 } model
            && !RecipePaths.HasVariable(model) && HubRepository.TryParse(model.Text) is null
            && !Directory.Exists(paths.Resolve(model)) && !ModelSource.IsFile(paths.Resolve(model)))
            problems.Add(model.Place, $"model is {model}, and there is no such folder or GGUF file");
        if (root.Find("data") is not { Kind: YamlKind.Map } data) return;
        foreach (string key in (string[])["train", "validation"])
            foreach (YamlValue file in (data.Find(key) is { } value ? value.Kind == YamlKind.List ? value.Items
                : [value] : []).Where(file => file is { Kind: YamlKind.Scalar, IsNull: false, Text.Length: > 0 }
                && !RecipePaths.HasVariable(file) && !Path.Exists(paths.Resolve(file))
                && RowFiles.Missing([paths.Resolve(file)]).Count > 0))
                problems.Add(file.Place, "data files that were not found",
                    () => $"data.{key}: {paths.Resolve(file)} was not found");
    }
}
