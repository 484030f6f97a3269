using LowRank.Adapters;
using LowRank.Data;
using LowRank.Models;
using LowRank.Tasks;

namespace LowRank.Recipes;

/// <summary>A key of a recipe: its one declaration, which the reader, the writer, the schema, <c>init</c>, the docs and
/// a prepared run ask.</summary>
/// <remarks>A key counts as given as soon as it is written with a value, its default included; null gives nothing.
/// Where one of its values asks for nothing (false, none, 0), its condition looks at the value, and that one is never
/// refused; in a task or method that does not have the key, every value is.</remarks>
/// <param name="Section">The path of its section; empty for the recipe itself.</param>
/// <param name="Name">The key.</param>
/// <param name="Meaning">What it means, in Markdown.</param>
internal sealed record RecipeKey(string Section, string Name, string Meaning)
{
    /// <summary>Its section and name.</summary>
    public string Full => Section.Length == 0 ? Name : $"{Section}.{Name}";

    /// <summary>What it may hold; null for a section of keys.</summary>
    public KeySchema? Schema { get; init; }

    /// <summary>Puts a given value into a recipe; of a section, before its keys are read.</summary>
    public Func<Recipe, GivenValue, Recipe> Read { get; init; } = (recipe, _) => recipe;

    /// <summary>Puts the default into a recipe that does not give the key, where it depends on others, which are all
    /// read.</summary>
    public Func<Recipe, Recipe> Complete { get; init; } = recipe => recipe;

    /// <summary>The value as YAML has it.</summary>
    public Func<Recipe, object?> Written { get; init; } = _ => null;

    /// <summary>Whether it is written at all.</summary>
    public Func<Recipe, bool> IsWritten { get; init; } = _ => true;

    /// <summary>The default in words, where it is not one value.</summary>
    public string? Default { get; init; }

    /// <summary>What is expected where it is missing; null where it may be.</summary>
    public string? Required { get; init; }

    /// <summary>Why it may not be missing, as the end of a sentence that begins with the key; null where it
    /// may.</summary>
    public Func<Recipe, string?> Missing { get; init; } = _ => null;

    /// <summary>What is wrong with what was read, as the end of a sentence that begins with the key; null for
    /// nothing.</summary>
    public Func<Recipe, string?> Invalid { get; init; } = _ => null;

    /// <summary>Whether it always takes effect.</summary>
    public bool IsAlways { get; init; }

    /// <summary>Why it takes none, as far as the recipe tells: each gives the end of a sentence that begins with the
    /// key, or null.</summary>
    public IReadOnlyList<Func<RecipeChoices, string?>> Unless { get; init; } = [];

    /// <summary>Why it takes none, once base, adapter and rows are there.</summary>
    public IReadOnlyList<Func<PreparedChoices, string?>> UnlessPrepared { get; init; } = [];

    /// <summary>What the user should know of a key that takes effect in part.</summary>
    public IReadOnlyList<Func<PreparedChoices, string?>> Notes { get; init; } = [];

    /// <summary>A key of the same section that it takes the place of; null for none.</summary>
    public string? Replaces { get; init; }

    /// <summary>Whether a resumed run may have another value: the key, or what lies in its section, says how long a
    /// run goes on and what is kept, measured and shown of it, not what is learned.</summary>
    public bool MayChange { get; init; }

    /// <summary>What a recipe that <c>init</c> writes says beside it.</summary>
    public string Hint { get; init; } = "";

    /// <summary>Why it takes no effect, as far as the recipe tells; null where it takes one.</summary>
    public string? Refusal(RecipeChoices choices) =>
        Unless.Select(reason => reason(choices)).FirstOrDefault(reason => reason is not null);

    /// <summary>Why it takes no effect in a prepared run; null where it takes one.</summary>
    public string? Refusal(PreparedChoices choices) =>
        UnlessPrepared.Select(reason => reason(choices)).FirstOrDefault(reason => reason is not null);
}

/// <summary>Declares the keys of a section.</summary>
/// <param name="path">Its path; empty for the recipe itself.</param>
/// <param name="get">The section of a recipe.</param>
/// <param name="set">The recipe with another one.</param>
internal sealed class KeySection<TSection>(
    string path, Func<Recipe, TSection> get, Func<Recipe, TSection, Recipe> set)
{
    /// <summary>A key that takes effect under conditions, which the caller adds.</summary>
    /// <param name="name">The key.</param>
    /// <param name="type">What it may hold.</param>
    /// <param name="meaning">What it means, in Markdown.</param>
    /// <param name="written">The value as YAML has it.</param>
    /// <param name="read">The section with a value.</param>
    /// <param name="otherwise">The default, where it depends on other keys; null takes the section's own.</param>
    public RecipeKey Key<T>(string name, KeyType<T> type, string meaning, Func<TSection, object?> written,
        Func<TSection, T, TSection> read, Func<Recipe, T>? otherwise = null) => new(path, name, meaning)
        {
            Schema = type.Schema,
            Written = recipe => written(get(recipe)),
            Read = (recipe, given) =>
                type.TryRead(given, out T value) ? set(recipe, read(get(recipe), value)) : recipe,
            Complete = recipe => otherwise is null ? recipe : set(recipe, read(get(recipe), otherwise(recipe))),
        };

    /// <summary>A key that always takes effect.</summary>
    /// <inheritdoc cref="Key"/>
    public RecipeKey Always<T>(string name, KeyType<T> type, string meaning, Func<TSection, object?> written,
        Func<TSection, T, TSection> read, Func<Recipe, T>? otherwise = null) =>
        Key(name, type, meaning, written, read, otherwise) with { IsAlways = true };

    /// <summary>A section inside this one.</summary>
    public RecipeKey Section(string name, string meaning = "") => new(path, name, meaning);
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

    /// <summary>Why a key of language models takes no effect.</summary>
    public static string? OfLanguageModels(RecipeChoices choices) => choices.IsLanguageModel ? null
        : $"has no effect with task {choices.Recipe.Task}; remove it";
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
    IReadOnlyList<string> Files, IReadOnlyList<Row> Prompted)
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
