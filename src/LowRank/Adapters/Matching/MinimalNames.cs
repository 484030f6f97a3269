namespace LowRank.Adapters.Matching;

/// <summary>Shortens a long list of paths to the endings that select the same modules, as PEFT does before it saves.</summary>
internal static class MinimalNames
{
    /// <summary>The length of a list from which on PEFT shortens it (MIN_TARGET_MODULES_FOR_OPTIMIZATION).</summary>
    public const int Threshold = 20;

    /// <summary>The shortened list, sorted; the list itself where that is no shorter.</summary>
    /// <param name="names">The names.</param>
    /// <param name="paths">All paths of the model.</param>
    public static IReadOnlyList<string> Shorten(IReadOnlyList<string> names, IEnumerable<string> paths)
    {
        if (names.Count < Threshold || names.Contains("")) return names;
        var named = new HashSet<string>(names);
        HashSet<string> foreign = [];
        foreach (string path in paths)
        {
            if (named.Contains(path) || ModulePath.Endings(path).Any(named.Contains)) continue;
            foreign.UnionWith(ModulePath.Endings(path).Append(path));
        }
        SortedSet<string> chosen = Choose(named, foreign);
        return chosen.Count > 0 && chosen.Count < named.Count ? [.. chosen] : names;
    }

    private static SortedSet<string> Choose(HashSet<string> named, HashSet<string> foreign)
    {
        var chosen = new SortedSet<string>(StringComparer.Ordinal);
        foreach (string[] endings in named.Select(name => ModulePath.Endings(name).Append(name).ToArray()).Order(ListOrder))
        {
            bool covered = ModulePath.Endings(endings[^1]).Any(chosen.Contains);
            string? shortest = covered ? null : endings.FirstOrDefault(ending => !chosen.Contains(ending) && !foreign.Contains(ending));
            if (shortest is not null) chosen.Add(shortest);
        }
        return chosen;
    }

    // lists as Python compares them: by the first element that differs, then by length
    private static readonly IComparer<string[]> ListOrder = Comparer<string[]>.Create((left, right) =>
    {
        for (int i = 0; i < Math.Min(left.Length, right.Length); i++)
        {
            int order = string.CompareOrdinal(left[i], right[i]);
            if (order != 0) return order;
        }
        return left.Length.CompareTo(right.Length);
    });
}
