using System.Reflection;

namespace LowRank.Recipes;

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
