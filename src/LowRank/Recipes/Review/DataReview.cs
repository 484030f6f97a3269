namespace LowRank.Recipes.Review;

/// <summary>What a model will see of a recipe's data.</summary>
/// <param name="Training">The rows to learn from, a part for each weight.</param>
/// <param name="Validation">The rows held out; null for none.</param>
/// <param name="Leaks">Rows of both; null without held-out rows.</param>
/// <param name="Notes">What the user should know, a sentence each.</param>
public sealed record DataReview(IReadOnlyList<ReviewedRows> Training, ReviewedRows? Validation, DataLeaks? Leaks, IReadOnlyList<string> Notes)
{
    /// <summary>Rows that cannot be used, of all parts.</summary>
    public long WrongRows => Training.Sum(part => part.WrongRows) + (Validation?.WrongRows ?? 0);
}
