using System.Globalization;
using System.Text.RegularExpressions;
using LowRank.Adapters.Patterns;

namespace LowRank.Adapters.Matching;

/// <summary>Decides from the path, like PEFT, whether a selection includes a module.</summary>
internal sealed class ModuleFilter
{
    private readonly HashSet<string> names = [];
    private readonly PythonRegex? pattern;

    /// <summary>Creates the filter; null or an empty selection includes nothing.</summary>
    public ModuleFilter(ModuleSelection? selection, string key)
    {
        if (selection is null || selection.IsEmpty) return;
        if (selection.Names is { } list) names = [.. list];
        else pattern = PythonRegex.Whole(selection.Text!, key);
    }

    /// <summary>Whether the path equals one of the names.</summary>
    public bool IsExact(string path) => names.Contains(path);

    /// <summary>Whether the path is a name, ends in a name after a dot, or matches the whole pattern.</summary>
    public bool Matches(string path) =>
        pattern?.IsMatch(path) ?? (IsExact(path) || ModulePath.Endings(path).Any(names.Contains));

    /// <summary>Whether a name matches the path.</summary>
    public static bool IsNamed(string name, string path) =>
        path == name || path.EndsWith("." + name, StringComparison.Ordinal);
}

/// <summary>Keeps the modules of selected layers, by the layer index in the path
/// (<c>layers_to_transform</c>).</summary>
internal sealed class LayerFilter
{
    private readonly HashSet<int> chosen;
    private readonly List<(string Name, PythonRegex Pattern)> patterns = [];

    /// <summary>Reads the selection of a config; null or an empty list keeps every module.</summary>
    public LayerFilter(AdapterConfig config)
    {
        chosen = [.. config.LayersToTransform?.Layers ?? []];
        if (!IsActive) return;
        // the lazy start finds the first number after a name: the layer, not an expert inside it
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

    /// <summary>Whether there is a selection.</summary>
    public bool IsActive => chosen.Count > 0;

    /// <summary>The selected layer indices.</summary>
    public IReadOnlyCollection<int> Chosen => chosen;

    /// <summary>The names of <c>layers_pattern</c>.</summary>
    public IEnumerable<string> PatternNames => patterns.Select(pattern => pattern.Name).Where(name => name.Length > 0);

    /// <summary>Whether the module is kept.</summary>
    public bool Keeps(string path) => !IsActive || (Find(path) is { } found && chosen.Contains(found.Layer));

    /// <summary>The layer index in a path and the name in <c>layers_pattern</c> that found it; null if the path has
    /// none.</summary>
    /// <remarks>In a model without a head, nothing precedes the list of layers ("layers.0.…"), and PEFT's expressions
    /// do not find it.</remarks>
    public (int Layer, string PatternName)? Find(string path) => FindIn(path) ?? FindIn("." + path);

    /// <summary>Whether PEFT finds a layer index in the path.</summary>
    public bool IsFoundByPeft(string path) => FindIn(path) is not null;

    private (int Layer, string PatternName)? FindIn(string path)
    {
        foreach ((string name, PythonRegex pattern) in patterns)
        {
            Match match = pattern.Match(path);
            if (!match.Success) continue;
            // without a number: the pattern has a "|" at the top level, and PEFT also fails with an error
            return int.TryParse(match.Groups[1].Value, NumberStyles.None, CultureInfo.InvariantCulture, out int layer)
                ? (layer, name)
                : throw new InputException(
                    $"layers_pattern: \"{name}\" matches \"{path}\" without a layer's number behind it; put " +
                    "alternatives into (?:…)");
        }
        return null;
    }
}

/// <summary>Values by pattern (<c>rank_pattern</c>, <c>alpha_pattern</c>): the first matching key applies.</summary>
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

    /// <summary>Every key and value that matches a path, in the config's order: the first one applies.</summary>
    public IReadOnlyList<KeyValuePair<string, T>> All(string path) =>
        [.. entries.Where(entry => entry.Pattern.IsMatch(path))
            .Select(entry => KeyValuePair.Create(entry.Key, entry.Value))];
}

/// <summary>Shortens a long list of paths to suffixes that select the same modules, as PEFT does before
/// saving.</summary>
internal static class MinimalNames
{
    /// <summary>The length from which PEFT shortens a list (MIN_TARGET_MODULES_FOR_OPTIMIZATION).</summary>
    public const int Threshold = 20;

    /// <summary>The shortened list, sorted; the list itself if that is no shorter.</summary>
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

    // compares lists like Python: by the first differing element, then by length
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
