using LowRank.Adapters.Patterns;

namespace LowRank.Adapters.Matching;

/// <summary>Values by pattern (<c>rank_pattern</c>, <c>alpha_pattern</c>): the first key that matches decides.</summary>
/// <typeparam name="T">The type of the values.</typeparam>
internal sealed class PatternValues<T>
{
    private readonly List<(string Key, PythonRegex Pattern, T Value)> entries;

    /// <summary>Compiles the keys.</summary>
    public PatternValues(IReadOnlyDictionary<string, T> values, string configKey) =>
        entries = [.. values.Select(v => (v.Key, PythonRegex.Within(@"(.*\.)?(", v.Key, ")$", configKey), v.Value))];

    /// <summary>The keys.</summary>
    public IEnumerable<string> Keys => entries.Select(entry => entry.Key);

    /// <summary>Every key and value that fits a path, in the config's order: the first one holds.</summary>
    public IReadOnlyList<KeyValuePair<string, T>> All(string path) =>
        [.. entries.Where(entry => entry.Pattern.IsMatch(path)).Select(entry => KeyValuePair.Create(entry.Key, entry.Value))];
}
