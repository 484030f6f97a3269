using LowRank.Adapters;
using LowRank.Data;
using LowRank.Models;
using LowRank.Tasks;

namespace LowRank.Recipes.Keys;

/// <summary>A key of a recipe and when it takes effect: the one declaration that the reader, the writer and a prepared
/// run ask.</summary>
/// <remarks>A key counts as given as soon as it is written with a value, its default included; null gives nothing.
/// Where one of its values asks for nothing (false, none, 0), its condition looks at the value, and that one is never
/// refused; in a task or method that does not have the key, every value is.</remarks>
/// <param name="Section">The path of its section; empty for the recipe itself.</param>
/// <param name="Name">The key.</param>
internal sealed record RecipeKey(string Section, string Name)
{
    /// <summary>Its section and name.</summary>
    public string Full => Section.Length == 0 ? Name : $"{Section}.{Name}";

    /// <summary>Whether it always takes effect.</summary>
    public bool IsAlways { get; init; }

    /// <summary>Why it takes none, as far as the recipe tells: each gives the end of a sentence that begins with the
    /// key, or null.</summary>
    public IReadOnlyList<Func<RecipeChoices, string?>> Unless { get; init; } = [];

    /// <summary>Why it takes none, once base, adapter and rows are there.</summary>
    public IReadOnlyList<Func<PreparedChoices, string?>> UnlessPrepared { get; init; } = [];

    /// <summary>What the user should know of a key that takes effect in part.</summary>
    public IReadOnlyList<Func<PreparedChoices, string?>> Notes { get; init; } = [];

    /// <summary>Why it takes no effect, as far as the recipe tells; null where it takes one.</summary>
    public string? Refusal(RecipeChoices choices) =>
        Unless.Select(reason => reason(choices)).FirstOrDefault(reason => reason is not null);

    /// <summary>Why it takes no effect in a prepared run; null where it takes one.</summary>
    public string? Refusal(PreparedChoices choices) =>
        UnlessPrepared.Select(reason => reason(choices)).FirstOrDefault(reason => reason is not null);
}

/// <summary>Declares the keys of a section.</summary>
internal sealed class KeySection(string path)
{
    /// <summary>Keys that always take effect.</summary>
    public IEnumerable<RecipeKey> Always(params string[] names) =>
        names.Select(name => new RecipeKey(path, name) { IsAlways = true });

    /// <summary>A key that takes none for any of these reasons.</summary>
    public RecipeKey Unless(string name, params Func<RecipeChoices, string?>[] reasons) =>
        new(path, name) { Unless = reasons };
}

/// <summary>What a recipe says, as the conditions of its keys look at it.</summary>
/// <param name="Recipe">The recipe; a part that cannot be read has its defaults.</param>
/// <param name="IsGiven">Whether a key, by its full name, is written with a value.</param>
internal sealed record RecipeChoices(Recipe Recipe, Func<string, bool> IsGiven)
{
    /// <summary>Whether there is a section of data: what a missing one lacks is not told again for each key.</summary>
    public bool HasData { get; init; } = true;

    public DataSection Data => Recipe.Data;

    public AdapterSection Adapter => Recipe.Adapter;

    public TrainingSection Training => Recipe.Training;

    /// <summary>Whether nothing is held out to evaluate on.</summary>
    public bool HoldsNothingOut => HasData && Data is { Validation.Count: 0, ValidationShare: 0 };

    /// <summary>Whether the task predicts a text's tokens, one after the other.</summary>
    public bool IsLanguageModel => Recipe.Task == TaskRegistry.Default;
}

/// <summary>What a prepared run has, as the conditions of keys look at it that the recipe alone cannot
/// decide.</summary>
/// <param name="Recipe">The recipe.</param>
/// <param name="Model">The base.</param>
/// <param name="Adapter">The adapter; null where every weight is trained.</param>
/// <param name="StartFolder">The folder of <c>training.init_adapter</c>; null without one.</param>
/// <param name="Files">The data files that are read.</param>
/// <param name="Prompted">Rows of the comparison with a prompt, each prompt once.</param>
internal sealed record PreparedChoices(Recipe Recipe, PretrainedModel Model, Adapter? Adapter, string? StartFolder,
    IReadOnlyList<string> Files, IReadOnlyList<Sample> Prompted)
{
    /// <summary>Whether a key is written with a value; of a recipe that was made without a text every key
    /// counts.</summary>
    public bool IsGiven(string key) => Recipe.Given?.ContainsKey(key) ?? true;

    /// <summary>What the keys ask for without effect, each with its place.</summary>
    public IEnumerable<string> Problems() => Told(key => key.Refusal(this));

    /// <summary>What takes effect in part, a sentence each.</summary>
    public IEnumerable<string> Notes() => RecipeKeys.All.Where(key => IsGiven(key.Full))
        .SelectMany(key => key.Notes.Select(note => note(this)).OfType<string>().Select(note => $"{key.Full} {note}"));

    private IEnumerable<string> Told(Func<RecipeKey, string?> tell) =>
        from key in RecipeKeys.All
        where IsGiven(key.Full)
        let said = tell(key)
        where said is not null
        select Recipe.Given is { } given ? $"{given[key.Full]}: {key.Full} {said}" : $"{key.Full} {said}";
}
