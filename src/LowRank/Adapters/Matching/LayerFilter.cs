using System.Globalization;
using System.Text.RegularExpressions;
using LowRank.Adapters.Patterns;

namespace LowRank.Adapters.Matching;

/// <summary>Keeps the modules of chosen layers, by the layer's number in the path (<c>layers_to_transform</c>).</summary>
internal sealed class LayerFilter
{
    private readonly HashSet<int> chosen;
    private readonly List<(string Name, PythonRegex Pattern)> patterns = [];

    /// <summary>Reads the choice of a config; none, or an empty list, keeps every module.</summary>
    public LayerFilter(LoraConfig config)
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
                throw new InputException($"layers_pattern: \"{name}\" holds a group, which PEFT would take for the layer's number; write (?:…) instead of (…)");
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
    /// <remarks>In a model without a head the list of layers has nothing before it ("layers.0.…"), which PEFT's expressions do not find.</remarks>
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
                : throw new InputException($"layers_pattern: \"{name}\" matches \"{path}\" without a layer's number behind it; put alternatives into (?:…)");
        }
        return null;
    }
}
