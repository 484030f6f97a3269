namespace LowRank.Recipes.Review;

/// <summary>A bar of the histogram of lengths.</summary>
/// <param name="From">Shortest length in tokens.</param>
/// <param name="To">Longest length in tokens.</param>
/// <param name="Rows">Rows of these lengths.</param>
public sealed record LengthBin(int From, int To, long Rows);
