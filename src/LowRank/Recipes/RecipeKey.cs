using LowRank.Adapters;
using LowRank.Data;
using LowRank.Models;
using LowRank.Tasks;

namespace LowRank.Recipes;

/// <summary>A key of a recipe: its single declaration, used by the reader, the writer, the schema, <c>init</c>, the
/// docs and a prepared run.</summary>
/// <remarks>A key counts as given if it has a value, even its default; null does not count. If one of its values
/// disables it (false, none, 0), its condition checks the value and never rejects that one; in a task or method without
/// the key, every value is rejected.</remarks>
/// <param name="Section">The path of its section; empty for the recipe itself.</param>
/// <param name="Name">The key.</param>
/// <param name="Meaning">Its description, in Markdown.</param>
internal sealed record RecipeKey(string Section, string Name, string Meaning)
{
    /// <summary>Its full name: section and name.</summary>
    public string Full => Section.Length == 0 ? Name : $"{Section}.{Name}";

    /// <summary>The key as messages name it.</summary>
    public Setting Setting => new(Full, Full);

    /// <summary>The values it accepts; null for a section.</summary>
    public KeySchema? Schema { get; init; }

    /// <summary>Sets a given value in a recipe; for a section, before its keys are read.</summary>
    public Func<Recipe, GivenValue, Recipe> Read { get; init; } = (recipe, _) => recipe;

    /// <summary>Sets the default in a recipe without the key, if it depends on other keys, which have all been
    /// read.</summary>
    public Func<Recipe, Recipe> Complete { get; init; } = recipe => recipe;

    /// <summary>The value in YAML.</summary>
    public Func<Recipe, object?> Written { get; init; } = _ => null;

    /// <summary>Whether the key is written at all.</summary>
    public Func<Recipe, bool> IsWritten { get; init; } = _ => true;

    /// <summary>The default in words, if it is not a single value.</summary>
    public string? Default { get; init; }

    /// <summary>What is expected if the key is missing; null if it is optional.</summary>
    public string? Required { get; init; }

    /// <summary>Why the key is required, as the end of a sentence that starts with the key; null if it is
    /// optional.</summary>
    public Func<Recipe, string?> Missing { get; init; } = _ => null;

    /// <summary>What is wrong with the value read, as the end of a sentence that starts with the key; null if nothing
    /// is.</summary>
    public Func<Recipe, string?> Invalid { get; init; } = _ => null;

    /// <summary>Whether it always has an effect.</summary>
    public bool IsAlways { get; init; }

    /// <summary>Reasons why it has no effect, as far as the recipe shows; each returns the end of a sentence that
    /// starts with the key, or null.</summary>
    public IReadOnlyList<Func<RecipeChoices, string?>> Unless { get; init; } = [];

    /// <summary>Reasons why it has no effect that are only known once base, adapter and rows are loaded.</summary>
    public IReadOnlyList<Func<PreparedChoices, string?>> UnlessPrepared { get; init; } = [];

    /// <summary>A note for the user on a key that has only a partial effect.</summary>
    public IReadOnlyList<Func<PreparedChoices, string?>> Notes { get; init; } = [];

    /// <summary>A key in the same section that it replaces; null for none.</summary>
    public string? Replaces { get; init; }

    /// <summary>Whether a resumed run may change it: the key, or its section, controls how long a run continues and
    /// what is saved, measured and shown, not what is learned.</summary>
    public bool MayChange { get; init; }

    /// <summary>The comment next to it in a recipe written by <c>init</c>.</summary>
    public string Hint { get; init; } = "";

    /// <summary>Why it has no effect, as far as the recipe shows; null if it has one.</summary>
    public string? Refusal(RecipeChoices choices) =>
        Unless.Select(reason => reason(choices)).FirstOrDefault(reason => reason is not null);

    /// <summary>Why it has no effect in a prepared run; null if it has one.</summary>
    public string? Refusal(PreparedChoices choices) =>
        UnlessPrepared.Select(reason => reason(choices)).FirstOrDefault(reason => reason is not null);
}

/// <summary>Declares the keys of a section.</summary>
/// <param name="path">Its path; empty for the recipe itself.</param>
/// <param name="get">Gets the section of a recipe.</param>
/// <param name="set">Returns the recipe with another section.</param>
internal sealed class KeySection<TSection>(
    string path, Func<Recipe, TSection> get, Func<Recipe, TSection, Recipe> set)
{
    /// <summary>A key that has an effect under conditions, which the caller adds.</summary>
    /// <param name="name">The key.</param>
    /// <param name="type">The values it accepts.</param>
    /// <param name="meaning">Its description, in Markdown.</param>
    /// <param name="written">The value in YAML.</param>
    /// <param name="read">Returns the section with a value.</param>
    /// <param name="otherwise">The default if it depends on other keys; null uses the section's own.</param>
    public RecipeKey Key<T>(string name, KeyType<T> type, string meaning, Func<TSection, object?> written,
        Func<TSection, T, TSection> read, Func<Recipe, T>? otherwise = null) => new(path, name, meaning)
        {
            Schema = type.Schema,
            Written = recipe => written(get(recipe)),
            Read = (recipe, given) =>
                type.TryRead(given, out T value) ? set(recipe, read(get(recipe), value)) : recipe,
            Complete = recipe => otherwise is null ? recipe : set(recipe, read(get(recipe), otherwise(recipe))),
        };

    /// <summary>A key that always has an effect.</summary>
    /// <inheritdoc cref="Key"/>
    public RecipeKey Always<T>(string name, KeyType<T> type, string meaning, Func<TSection, object?> written,
        Func<TSection, T, TSection> read, Func<Recipe, T>? otherwise = null) =>
        Key(name, type, meaning, written, read, otherwise) with { IsAlways = true };

    /// <summary>A section inside this one.</summary>
    public RecipeKey Section(string name, string meaning = "") => new(path, name, meaning);
}

/// <summary>A recipe as seen by the conditions of its keys.</summary>
/// <param name="Recipe">The recipe; a part that cannot be read has its defaults.</param>
/// <param name="IsGiven">Whether a key, by its full name, has a value.</param>
internal sealed record RecipeChoices(Recipe Recipe, Func<string, bool> IsGiven)
{
    /// <summary>Whether there is a data section: if it is missing, problems are not reported again for each
    /// key.</summary>
    public bool HasData { get; init; } = true;

    /// <summary>A key as messages name it.</summary>
    public string this[string key] => Recipe.Name(key);

    public DataSection Data => Recipe.Data;

    public AdapterSection Adapter => Recipe.Adapter;

    public TrainingSection Training => Recipe.Training;

    /// <summary>Whether no data is held out for evaluation.</summary>
    public bool HoldsNothingOut => HasData && Data is { Validation.Count: 0, ValidationShare: 0 };

    /// <summary>Whether the task predicts the tokens of a text one after another.</summary>
    public bool IsLanguageModel => Recipe.Task == TaskRegistry.Default;

    /// <summary>Why a language model's key has no effect.</summary>
    public static string? OfLanguageModels(RecipeChoices choices) => choices.IsLanguageModel ? null
        : $"has no effect with task {choices.Recipe.Task}; remove it";
}

/// <summary>A prepared run as seen by the conditions of keys that the recipe alone cannot decide.</summary>
/// <param name="Recipe">The recipe.</param>
/// <param name="Model">The base.</param>
/// <param name="Adapter">The adapter; null if every weight is trained.</param>
/// <param name="StartFolder">The folder of <c>training.init_adapter</c>; null without one.</param>
/// <param name="Files">The data files of the run.</param>
/// <param name="Prompted">The comparison's rows with a prompt, each prompt once.</param>
internal sealed record PreparedChoices(Recipe Recipe, PretrainedModel Model, Adapter? Adapter, string? StartFolder,
    IReadOnlyList<string> Files, IReadOnlyList<Row> Prompted)
{
    /// <summary>Whether a key has a value; in a recipe created without a text every key counts.</summary>
    public bool IsGiven(string key) => Recipe.Given?.ContainsKey(key) ?? true;

    /// <summary>A key as messages name it.</summary>
    public string this[string key] => Recipe.Name(key);

    /// <summary>The keys without effect, each with its position.</summary>
    public IEnumerable<Problem> Problems() =>
        from key in RecipeKeys.All
        where IsGiven(key.Full)
        let said = key.Refusal(this)
        where said is not null
        select new Problem($"{key.Setting} {said}")
        {
            Setting = key.Setting,
            Place = Recipe is { Origin: null, Given: { } given } ? given[key.Full].Words : null,
        };

    /// <summary>The keys with a partial effect, one sentence each.</summary>
    public IEnumerable<string> Notes() => RecipeKeys.All.Where(key => IsGiven(key.Full))
        .SelectMany(key => key.Notes.Select(note => note(this)).OfType<string>()
            .Select(note => $"{this[key.Full]} {note}"));
}
