using System.Globalization;
using System.Text.Json.Serialization;

namespace LowRank.Data;

/// <summary>What became of the rows.</summary>
/// <param name="Examples">Rows that are used.</param>
/// <param name="Tokens">Their tokens, after cutting.</param>
/// <param name="TrainedTokens">Labels they predict.</param>
/// <param name="MaxLength">Longest example allowed.</param>
/// <param name="Truncated">Rows that were cut at their end, left-out rows included.</param>
/// <param name="TokensCut">Tokens they lost.</param>
/// <param name="Dropped">Rows left out because what remained after cutting predicts no label.</param>
/// <param name="DroppedPlaces">Where the first ten of them stand.</param>
public sealed record TokenizationSummary(long Examples, long Tokens, long TrainedTokens, int MaxLength, long Truncated, long TokensCut,
    long Dropped, IReadOnlyList<DataPlace> DroppedPlaces)
{
    /// <summary>Tokens of all rows before cutting.</summary>
    public long TokensRead { get; init; }

    /// <summary>Tokens of the longest example.</summary>
    public int Longest { get; init; }

    /// <summary>Examples with padding of their own in their attention mask.</summary>
    public long Padded { get; init; }

    /// <summary>Labels that were cut off, of rows left out too.</summary>
    public long TrainedTokensCut { get; init; }

    /// <summary>What the user has to know, a sentence each; empty when every row is used whole.</summary>
    [JsonIgnore]
    public IReadOnlyList<string> Warnings
    {
        get
        {
            var warnings = new List<string>();
            if (Truncated > 0)
                warnings.Add($"{Rows(Truncated)} longer than max_length {MaxLength} and lost {TokensCut} tokens at the end{Shares()}.");
            if (Dropped > 0)
            {
                string more = Dropped > DroppedPlaces.Count ? $", and {Dropped - DroppedPlaces.Count} more" : "";
                warnings.Add($"{Rows(Dropped)} left out because {(Dropped == 1 ? "its" : "their")} first {MaxLength} tokens (max_length) hold none that is learned: " +
                    $"{string.Join(", ", DroppedPlaces)}{more}.");
            }
            return warnings;
        }
    }

    private string Shares()
    {
        if (TokensRead == 0) return "";
        string all = string.Create(CultureInfo.InvariantCulture, $" ({100.0 * TokensCut / TokensRead:0.##} % of all tokens");
        return TrainedTokensCut == 0 ? $"{all}, none of them learned)"
            : string.Create(CultureInfo.InvariantCulture, $"{all}, {100.0 * TrainedTokensCut / (TrainedTokensCut + TrainedTokens):0.##} % of those that are learned)");
    }

    private static string Rows(long count) => count == 1 ? "1 row was" : $"{count} rows were";
}
