namespace LowRank;

/// <summary>Things of one kind by their names: those of this library, in one list, and those that a program
/// registers.</summary>
/// <remarks>Safe for any thread: a reader sees the table before an addition or after it, never between.</remarks>
/// <typeparam name="T">The kind.</typeparam>
internal sealed class Registry<T> where T : class
{
    private readonly Lock gate = new();
    private readonly string kind;
    private readonly Func<T, string> name;
    private readonly IReadOnlyList<string> reserved;
    private readonly HashSet<T> builtIn;
    private volatile SortedDictionary<string, T> table;

    /// <summary>Makes the table of a kind.</summary>
    /// <param name="kind">The kind in messages, such as "task".</param>
    /// <param name="name">The name of an item.</param>
    /// <param name="builtIn">The library's own.</param>
    /// <param name="reserved">Names that mean something else where the kind is chosen.</param>
    public Registry(string kind, Func<T, string> name, IReadOnlyList<T> builtIn, params IReadOnlyList<string> reserved)
    {
        (this.kind, this.name, this.reserved, this.builtIn) = (kind, name, reserved, [.. builtIn]);
        table = new SortedDictionary<string, T>(builtIn.ToDictionary(name), StringComparer.Ordinal);
    }

    /// <summary>The names, sorted.</summary>
    public IReadOnlyList<string> Names => [.. table.Keys];

    /// <summary>The items, sorted by name.</summary>
    public IReadOnlyList<T> All => [.. table.Values];

    /// <summary>The items, the library's own first.</summary>
    public IEnumerable<T> BuiltInFirst => All.OrderByDescending(builtIn.Contains);

    /// <summary>The item of a name; null where there is none.</summary>
    public T? Find(string name) => table.GetValueOrDefault(name);

    /// <summary>Adds an item.</summary>
    /// <exception cref="ArgumentException">It has no name, or one that is taken: nothing is replaced.</exception>
    public void Register(T item)
    {
        ArgumentNullException.ThrowIfNull(item);
        string added = name(item);
        if (string.IsNullOrWhiteSpace(added))
            throw new ArgumentException($"The {kind} {item.GetType().Name} has no name.", nameof(item));
        lock (gate)
        {
            if (table.TryGetValue(added, out T? known))
                throw new ArgumentException(
                    $"The {kind} \"{added}\" is there already: {known.GetType().FullName}" +
                    $"{(builtIn.Contains(known) ? ", which comes with LowRank and cannot be replaced" : "")}. " +
                    "Register each once, and give yours a name of its own.", nameof(item));
            if (reserved.Contains(added))
                throw new ArgumentException(
                    $"\"{added}\" cannot be the name of a {kind}: the word means something else there. Choose " +
                    "another name.", nameof(item));
            table = new SortedDictionary<string, T>(table, StringComparer.Ordinal) { [added] = item };
        }
    }
}
