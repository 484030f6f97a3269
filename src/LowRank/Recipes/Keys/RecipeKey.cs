namespace LowRank.Recipes.Keys;

/// <summary>A key of a recipe and when it takes effect: the one declaration that the reader, the writer and a prepared run ask.</summary>
/// <remarks>A key counts as given as soon as it is written with a value, its default included; null gives nothing. Where one of its values asks for nothing
/// (false, none, 0), its condition looks at the value, and that one is never refused; in a task or method that does not have the key, every value is.</remarks>
/// <param name="Section">The path of its section; empty for the recipe itself.</param>
/// <param name="Name">The key.</param>
internal sealed record RecipeKey(string Section, string Name)
{
    /// <summary>Its section and name.</summary>
    public string Full => Section.Length == 0 ? Name : $"{Section}.{Name}";

    /// <summary>Whether it always takes effect.</summary>
    public bool IsAlways { get; init; }

    /// <summary>Why it takes none, as far as the recipe tells: each gives the end of a sentence that begins with the key, or null.</summary>
    public IReadOnlyList<Func<RecipeChoices, string?>> Unless { get; init; } = [];

    /// <summary>Why it takes none, once base, adapter and rows are there.</summary>
    public IReadOnlyList<Func<PreparedChoices, string?>> UnlessPrepared { get; init; } = [];

    /// <summary>What the user should know of a key that takes effect in part.</summary>
    public IReadOnlyList<Func<PreparedChoices, string?>> Notes { get; init; } = [];

    /// <summary>Why it takes no effect, as far as the recipe tells; null where it takes one.</summary>
    public string? Refusal(RecipeChoices choices) => Unless.Select(reason => reason(choices)).FirstOrDefault(reason => reason is not null);

    /// <summary>Why it takes no effect in a prepared run; null where it takes one.</summary>
    public string? Refusal(PreparedChoices choices) => UnlessPrepared.Select(reason => reason(choices)).FirstOrDefault(reason => reason is not null);
}

/// <summary>Declares the keys of a section.</summary>
internal sealed class KeySection(string path)
{
    /// <summary>Keys that always take effect.</summary>
    public IEnumerable<RecipeKey> Always(params string[] names) => names.Select(name => new RecipeKey(path, name) { IsAlways = true });

    /// <summary>A key that takes none for any of these reasons.</summary>
    public RecipeKey Unless(string name, params Func<RecipeChoices, string?>[] reasons) => new(path, name) { Unless = reasons };
}
