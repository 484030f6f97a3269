using LowRank.Adapters;
using LowRank.Data;
using LowRank.Models;

namespace LowRank.Recipes.Keys;

/// <summary>What a prepared run has, as the conditions of keys look at it that the recipe alone cannot decide.</summary>
/// <param name="Recipe">The recipe.</param>
/// <param name="Model">The base.</param>
/// <param name="Adapter">The adapter; null where every weight is trained.</param>
/// <param name="StartFolder">The folder of <c>training.init_adapter</c>; null without one.</param>
/// <param name="Files">The data files that are read.</param>
/// <param name="Prompted">Rows of the comparison with a prompt, each prompt once.</param>
internal sealed record PreparedChoices(Recipe Recipe, PretrainedModel Model, Adapter? Adapter, string? StartFolder, IReadOnlyList<string> Files, IReadOnlyList<Sample> Prompted)
{
    /// <summary>Whether a key is written with a value; of a recipe that was made without a text every key counts.</summary>
    public bool IsGiven(string key) => Recipe.Given?.ContainsKey(key) ?? true;

    /// <summary>What the keys ask for without effect, each with its place.</summary>
    public IEnumerable<string> Problems() => Told(key => key.Refusal(this));

    /// <summary>What takes effect in part, a sentence each.</summary>
    public IEnumerable<string> Notes() => RecipeKeys.All.Where(key => IsGiven(key.Full)).SelectMany(key => key.Notes.Select(note => note(this)).OfType<string>().Select(note => $"{key.Full} {note}"));

    private IEnumerable<string> Told(Func<RecipeKey, string?> tell) =>
        from key in RecipeKeys.All
        where IsGiven(key.Full)
        let said = tell(key)
        where said is not null
        select Recipe.Given is { } given ? $"{given[key.Full]}: {key.Full} {said}" : $"{key.Full} {said}";
}
