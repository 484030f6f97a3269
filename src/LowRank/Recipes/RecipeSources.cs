using LowRank.Data.Rows;

namespace LowRank.Recipes;

/// <summary>The sources of a recipe's rows.</summary>
internal sealed class RecipeSources
{
    /// <summary>Creates them from a recipe.</summary>
    /// <param name="recipe">The recipe.</param>
    /// <param name="cancellation">Ends reading at the next row.</param>
    public RecipeSources(Recipe recipe, CancellationToken cancellation = default)
    {
        DataSection data = recipe.Data;
        RowOptions options = RecipeOptions.Rows(data);
        RowSplit? Side(bool heldOut) => data.ValidationShare > 0
            ? new RowSplit(data.ValidationShare, data.SplitSeed, heldOut) : null;
        RowSource From(IReadOnlyList<string> paths, RowSplit? split = null) =>
            RowSource.From(paths, options, split).With(cancellation);
        Weights = data.Weights;
        Train = Weights is null ? [From(data.Train, Side(false))]
            : [.. data.Train.Select(path => From([path], Side(false)))];
        Validation = data.ValidationShare > 0 ? From(data.Train, Side(true))
            : data.Validation.Count > 0 ? From(data.Validation) : null;
        if (recipe.Comparison is not { } comparison) return;
        Comparison = comparison.Data.Count > 0 ? From(comparison.Data) : Validation;
    }

    /// <summary>Rejects pipes: data that is read more than once must be in files.</summary>
    /// <exception cref="InputException">The data comes from a pipe.</exception>
    public static void RequireFiles(Recipe recipe)
    {
        string[] pipes =
            [.. recipe.Data.Train.Concat(recipe.Data.Validation).Concat(recipe.Comparison?.Data ?? [])
            .Where(RowFiles.IsReadOnce).Distinct()];
        if (pipes.Length > 0)
            throw new InputException(
                $"{string.Join(", ", pipes)}: the data comes through a pipe, which can be read once, and a " +
                "recipe's data is read several times. Write it to a file.");
    }

    /// <summary>The training sources: one, or one per weight.</summary>
    public IReadOnlyList<RowSource> Train { get; }

    /// <summary>The proportion of each in the mixture; null uses every row once.</summary>
    public IReadOnlyList<double>? Weights { get; }

    /// <summary>The evaluation source; null for none.</summary>
    public RowSource? Validation { get; }

    /// <summary>The comparison source; null for none.</summary>
    public RowSource? Comparison { get; }
}
