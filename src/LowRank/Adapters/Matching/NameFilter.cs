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
    public bool Matches(string path) => pattern?.IsMatch(path) ?? (IsExact(path) || ModulePath.Endings(path).Any(names.Contains));

    /// <summary>Whether one name fits the path.</summary>
    public static bool Fits(string name, string path) => path == name || path.EndsWith("." + name);
}
