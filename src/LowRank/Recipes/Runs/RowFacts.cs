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
    public static RowFacts Of(IReadOnlyList<IExample> rows)
    {
        // Once through: rows may be read from a file as they are asked for.
        long tokens = 0, labels = 0;
        int longest = 0;
        foreach (IExample row in rows) (tokens, labels, longest) = (tokens + row.Tokens, labels + row.PredictedLabels, Math.Max(longest, row.Length));
        return new RowFacts(rows.Count, tokens, labels, longest);
    }
}
