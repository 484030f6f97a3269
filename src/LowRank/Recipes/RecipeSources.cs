using LowRank.Data.Rows;

namespace LowRank.Recipes;

/// <summary>Where a recipe's rows come from.</summary>
internal sealed class RecipeSources
{
    /// <summary>Takes them from a recipe.</summary>
    public RecipeSources(Recipe recipe)
    {
        DataSection data = recipe.Data;
        RowOptions options = RecipeOptions.Rows(data);
        RowSplit? Side(bool heldOut) => data.ValidationShare > 0 ? new RowSplit(data.ValidationShare, data.SplitSeed, heldOut) : null;
        Weights = data.Weights;
        Train = Weights is null ? [RowSource.Of(data.Train, options, Side(false))] : [.. data.Train.Select(path => RowSource.Of([path], options, Side(false)))];
        Validation = data.ValidationShare > 0 ? RowSource.Of(data.Train, options, Side(true))
            : data.Validation.Count > 0 ? RowSource.Of(data.Validation, options) : null;
        if (recipe.Comparison is not { } comparison) return;
        Comparison = comparison.Data.Count > 0 ? RowSource.Of(comparison.Data, options) : Validation;
    }

    /// <summary>Refuses pipes: what is read more than once has to stand in files.</summary>
    /// <exception cref="InputException">The data is read from one.</exception>
    public static void RequireFiles(Recipe recipe)
    {
        string[] pipes = [.. recipe.Data.Train.Concat(recipe.Data.Validation).Concat(recipe.Comparison?.Data ?? []).Where(RowFiles.IsReadOnce).Distinct()];
        if (pipes.Length > 0) throw new InputException($"{string.Join(", ", pipes)}: the data comes through a pipe, which can be read once, and a recipe's data is read several times. Write it to a file.");
    }

    /// <summary>To train on: one, or one for each weight.</summary>
    public IReadOnlyList<RowSource> Train { get; }

    /// <summary>How much of the mixture each makes up; null takes every row once.</summary>
    public IReadOnlyList<double>? Weights { get; }

    /// <summary>To evaluate on; null for none.</summary>
    public RowSource? Validation { get; }

    /// <summary>To compare on; null for none.</summary>
    public RowSource? Comparison { get; }
}
