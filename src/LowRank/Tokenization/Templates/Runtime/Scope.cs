namespace LowRank.Tokenization.Templates.Runtime;

/// <summary>The names that a part of the template sees: its own, then those around it. Assignments stay in the own ones.</summary>
internal sealed class Scope(Scope? parent)
{
    private readonly Dictionary<string, object> _names = new(StringComparer.Ordinal);

    /// <summary>The value of a name, or null where nobody has set it.</summary>
    public object? Find(string name)
    {
        for (var scope = this; scope is not null; scope = scope.Parent)
        {
            if (scope._names.TryGetValue(name, out var value))
            {
                return value;
            }
        }

        return null;
    }

    /// <summary>Sets a name here.</summary>
    public void Set(string name, object value) => _names[name] = value;

    private Scope? Parent { get; } = parent;
}
