namespace LowRank.Recipes;

/// <summary>The problems of a recipe, each with where it stands.</summary>
internal sealed class RecipeProblems(string name)
{
    private readonly List<(YamlPlace Place, string Text)> found = [];

    public int Count => found.Count;

    public void Add(YamlPlace place, string text) => found.Add((place, $"{place}: {text}"));

    /// <summary>Reports everything: the file's problems from top to bottom, those of the files it builds on, then those of the overrides.</summary>
    /// <exception cref="InputException">There is a problem.</exception>
    public void ThrowIfAny()
    {
        if (found.Count == 0) return;
        string heading = $"{found.Count} problem{(found.Count == 1 ? "" : "s")} in {name}:";
        throw new InputException(heading, [.. found.OrderBy(f => f.Place.IsOverride).ThenBy(f => f.Place.Name == name ? 0 : 1).ThenBy(f => f.Place.IsOverride ? "" : f.Place.Name, StringComparer.Ordinal).ThenBy(f => f.Place.Line).ThenBy(f => f.Place.Column).Select(f => f.Text)]);
    }
}
