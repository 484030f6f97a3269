using System.Globalization;
using System.Text.RegularExpressions;
using LowRank.Adapters.Patterns;

namespace LowRank.Adapters.Matching;

/// <summary>Decides by path, as PEFT does, whether a selection names a module.</summary>
internal sealed class NameFilter
{
    private readonly HashSet<string> names = [];
    private readonly PythonRegex? pattern;

    /// <summary>Makes the filter; null or an empty selection names nothing.</summary>
    public NameFilter(ModuleSelection? selection, string key)
    {
        if (selection is null || selection.IsEmpty) return;
        if (selection.Names is { } list) names = [.. list];
        else pattern = PythonRegex.Whole(selection.Text!, key);
    }

    /// <summary>Whether the path is one of the names itself.</summary>
    public bool IsExact(string path) => names.Contains(path);

    /// <summary>Whether the path is a name, ends in a name after a point, or matches the pattern whole.</summary>
    public bool Matches(string path) =>
        pattern?.IsMatch(path) ?? (IsExact(path) || ModulePath.Endings(path).Any(names.Contains));

    /// <summary>Whether one name fits the path.</summary>
    public static bool Fits(string name, string path) => path == name || path.EndsWith("." + name);
}

/// <summary>Keeps the modules of chosen layers, by the layer's number in the path
/// (<c>layers_to_transform</c>).</summary>
internal sealed class LayerFilter
{
    private readonly HashSet<int> chosen;
    private readonly List<(string Name, PythonRegex Pattern)> patterns = [];

    /// <summary>Reads the choice of a config; none, or an empty list, keeps every module.</summary>
    public LayerFilter(AdapterConfig config)
    {
        chosen = [.. config.LayersToTransform?.Layers ?? []];
        if (!IsActive) return;
        // the lazy start finds the first number behind a name: the layer, not an expert inside it
        if (config.LayersPattern is null || config.LayersPattern.IsEmpty)
        {
            patterns.Add(("", PythonRegex.Within(@".*?\.[^.]*\.(\d+)\.", "", "", "layers_pattern")));
            return;
        }
        foreach (string name in config.LayersPattern.Names ?? [config.LayersPattern.Text!])
        {
            PythonRegex pattern = PythonRegex.Within(@".*?\.", name, @"\.(\d+)\.", "layers_pattern");
            if (pattern.GroupCount != 1)
                throw new InputException(
                    $"layers_pattern: \"{name}\" holds a group, which PEFT would take for the layer's number; " +
                    "write (?:…) instead of (…)");
            patterns.Add((name, pattern));
        }
    }

    /// <summary>Whether there is a choice at all.</summary>
    public bool IsActive => chosen.Count > 0;

    /// <summary>The chosen numbers.</summary>
    public IReadOnlyCollection<int> Chosen => chosen;

    /// <summary>The names of <c>layers_pattern</c>.</summary>
    public IEnumerable<string> PatternNames => patterns.Select(pattern => pattern.Name).Where(name => name.Length > 0);

    /// <summary>Whether the module is kept.</summary>
    public bool Keeps(string path) => !IsActive || (Find(path) is { } found && chosen.Contains(found.Layer));

    /// <summary>The layer's number in a path and the name from <c>layers_pattern</c> that found it; null where the path
    /// has none.</summary>
    /// <remarks>In a model without a head the list of layers has nothing before it ("layers.0.…"), which PEFT's
    /// expressions do not find.</remarks>
    public (int Layer, string PatternName)? Find(string path) => FindIn(path) ?? FindIn("." + path);

    /// <summary>Whether PEFT finds a layer's number in the path.</summary>
    public bool IsFoundByPeft(string path) => FindIn(path) is not null;

    private (int Layer, string PatternName)? FindIn(string path)
    {
        foreach ((string name, PythonRegex pattern) in patterns)
        {
            Match match = pattern.Match(path);
            if (!match.Success) continue;
            // without a number: the pattern has a "|" at its top, and PEFT stops at it with an error too
            return int.TryParse(match.Groups[1].Value, NumberStyles.None, CultureInfo.InvariantCulture, out int layer)
                ? (layer, name)
                : throw new InputException(
                    $"layers_pattern: \"{name}\" matches \"{path}\" without a layer's number behind it; put " +
                    "alternatives into (?:…)");
        }
        return null;
    }
}

/// <summary>Values by pattern (<c>rank_pattern</c>, <c>alpha_pattern</c>): the first key that matches
/// decides.</summary>
/// <typeparam name="T">The type of the values.</typeparam>
internal sealed class PatternValues<T>
{
    private readonly List<(string Key, PythonRegex Pattern, T Value)> entries;

    /// <summary>Compiles the keys.</summary>
    public PatternValues(IReadOnlyDictionary<string, T>? values, string configKey) =>
        entries = [.. (values ?? new Dictionary<string, T>())
            .Select(v => (v.Key, PythonRegex.Within(@"(.*\.)?(", v.Key, ")$", configKey), v.Value))];

    /// <summary>The keys.</summary>
    public IEnumerable<string> Keys => entries.Select(entry => entry.Key);

    /// <summary>Every key and value that fits a path, in the config's order: the first one holds.</summary>
    public IReadOnlyList<KeyValuePair<string, T>> All(string path) =>
        [.. entries.Where(entry => entry.Pattern.IsMatch(path))
            .Select(entry => KeyValuePair.Create(entry.Key, entry.Value))];
}

/// <summary>Shortens a long list of paths to the endings that select the same modules, as PEFT does before it
/// saves.</summary>
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
        foreach (string[] endings in named.Select(name => ModulePath.Endings(name).Append(name).ToArray())
            .Order(ListOrder))
        {
            bool covered = ModulePath.Endings(endings[^1]).Any(chosen.Contains);
            string? shortest = covered ? null
                : endings.FirstOrDefault(ending => !chosen.Contains(ending) && !foreign.Contains(ending));
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
