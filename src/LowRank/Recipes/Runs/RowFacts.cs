using LowRank.Data;

namespace LowRank.Recipes.Runs;

/// <summary>What rows of data amount to.</summary>
/// <param name="Rows">Rows that are used.</param>
/// <param name="Tokens">Their tokens, after cutting, padding left out.</param>
/// <param name="Labels">Labels that they predict: tokens that are learned, or a text's label.</param>
/// <param name="Longest">Tokens of the longest.</param>
public sealed record RowFacts(long Rows, long Tokens, long Labels, int Longest)
{
    /// <summary>Counts rows.</summary>
    public static RowFacts Of(IReadOnlyList<IExample> rows) =>
        new(rows.Count, rows.Sum(row => (long)row.Tokens), rows.Sum(row => (long)row.PredictedLabels), rows.Count == 0 ? 0 : rows.Max(row => row.Length));
}
