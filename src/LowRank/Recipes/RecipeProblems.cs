namespace LowRank.Recipes;

/// <summary>The problems of a recipe with their positions. For problems of the same kind, the first ones are reported
/// and the rest counted.</summary>
/// <param name="name">The recipe's name.</param>
/// <param name="hasPlaces">Whether positions mean something to the user; they do not in a recipe made from
/// options.</param>
internal sealed class RecipeProblems(string name, bool hasPlaces = true)
{
    private const int MostOfAKind = 10, LongestText = 1500;
    private readonly List<(YamlPlace Place, Problem Problem)> found = [];
    private readonly Dictionary<string, (int Count, YamlPlace Last)> kinds = [];

    public int Count { get; private set; }

    public void Add(YamlPlace place, string text) => Add(place, new Problem(text));

    /// <inheritdoc cref="Add(YamlPlace, string)"/>
    public void Add(YamlPlace place, Problem problem)
    {
        Count++;
        // Values that quote a whole file by mistake would bury the others.
        if (problem.ToString() is { Length: > LongestText } text)
            problem = problem with { Text = Words.Plain(text[..LongestText] + "…") };
        found.Add((place, At(place, problem)));
    }

    /// <summary>Records one of many problems of a kind.</summary>
    /// <param name="place">Its position.</param>
    /// <param name="kind">A description of the kind, in the plural: "keys that recipes do not have".</param>
    /// <param name="text">Returns what is wrong with this one; not called if so many of the kind are reported that this
    /// one is only counted.</param>
    public void Add(YamlPlace place, string kind, Func<string> text) =>
        Add(place, kind, () => new Problem(text()));

    /// <inheritdoc cref="Add(YamlPlace, string, Func{string})"/>
    public void Add(YamlPlace place, string kind, Func<Problem> problem)
    {
        int before = kinds.GetValueOrDefault(kind).Count;
        kinds[kind] = (before + 1, place);
        if (before < MostOfAKind) Add(place, problem());
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
            Problem: At(kind.Value.Last, new Problem(
                $"the last of {kind.Value.Count - MostOfAKind} more {kind.Key}"))));
        throw new InputException(
            heading, [.. found.Concat(further).OrderBy(f => f.Place.IsOverride)
            .ThenBy(f => f.Place.Name == name ? 0 : 1)
            .ThenBy(f => f.Place.IsOverride ? "" : f.Place.Name, StringComparer.Ordinal).ThenBy(f => f.Place.Line)
            .ThenBy(f => f.Place.Column).Select(f => f.Problem)]);
    }

    private Problem At(YamlPlace place, Problem problem) =>
        hasPlaces ? problem with { Place = place.Words } : problem;
}
