namespace LowRank.Recipes;

/// <summary>The problems of a recipe with their positions. For problems of the same kind, the first ones are reported
/// and the rest counted.</summary>
internal sealed class RecipeProblems(string name)
{
    private const int MostOfAKind = 10, LongestText = 1500;
    private readonly List<(YamlPlace Place, string Text)> found = [];
    private readonly Dictionary<string, (int Count, YamlPlace Last)> kinds = [];

    public int Count { get; private set; }

    public void Add(YamlPlace place, string text)
    {
        Count++;
        // Values that quote a whole file by mistake would bury the others.
        found.Add((place, $"{place}: {(text.Length <= LongestText ? text : text[..LongestText] + "…")}"));
    }

    /// <summary>Records one of many problems of a kind.</summary>
    /// <param name="place">Its position.</param>
    /// <param name="kind">A description of the kind, in the plural: "keys that recipes do not have".</param>
    /// <param name="text">Returns what is wrong with this one; not called if so many of the kind are reported that this
    /// one is only counted.</param>
    public void Add(YamlPlace place, string kind, Func<string> text)
    {
        int before = kinds.GetValueOrDefault(kind).Count;
        kinds[kind] = (before + 1, place);
        if (before < MostOfAKind) Add(place, text());
        else Count++;
    }

    /// <summary>Reports all problems: the file's from top to bottom, then those of the files it is based on, then those
    /// of the overrides.</summary>
    /// <exception cref="InputException">There are problems.</exception>
    public void ThrowIfAny()
    {
        if (Count == 0) return;
        string heading = $"{Count} problem{(Count == 1 ? "" : "s")} in {name}:";
        var further = kinds.Where(kind => kind.Value.Count > MostOfAKind)
            .Select(kind =>
            (Place: kind.Value.Last,
            Text: $"{kind.Value.Last}: the last of {kind.Value.Count - MostOfAKind} more {kind.Key}"));
        throw new InputException(
            heading, [.. found.Concat(further).OrderBy(f => f.Place.IsOverride)
            .ThenBy(f => f.Place.Name == name ? 0 : 1)
            .ThenBy(f => f.Place.IsOverride ? "" : f.Place.Name, StringComparer.Ordinal).ThenBy(f => f.Place.Line)
            .ThenBy(f => f.Place.Column).Select(f => f.Text)]);
    }
}
