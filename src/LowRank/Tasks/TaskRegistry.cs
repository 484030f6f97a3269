namespace LowRank.Tasks;

/// <summary>All tasks of this library, found by their type: adding one edits no list.</summary>
public static class TaskRegistry
{
    /// <summary>The task of a recipe that names none.</summary>
    public const string Default = "causal_lm";

    private static readonly Dictionary<string, ITaskKind> Kinds = typeof(TaskRegistry).Assembly.GetTypes()
        .Where(type => typeof(ITaskKind).IsAssignableFrom(type) && type is { IsAbstract: false, IsInterface: false })
        .Select(type => (ITaskKind)Activator.CreateInstance(type)!)
        .ToDictionary(kind => kind.Name);

    /// <summary>The names, sorted.</summary>
    public static IReadOnlyList<string> Names => [.. Kinds.Keys.Order(StringComparer.Ordinal)];

    /// <summary>The task of a name.</summary>
    /// <exception cref="InputException">There is none.</exception>
    public static ITaskKind Get(string name) => Kinds.TryGetValue(name, out ITaskKind? kind)
        ? kind : throw new InputException($"There is no task \"{name}\"; expected one of {string.Join(", ", Names)}.");
}
