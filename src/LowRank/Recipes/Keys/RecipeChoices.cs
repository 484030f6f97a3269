using LowRank.Tasks;

namespace LowRank.Recipes.Keys;

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
