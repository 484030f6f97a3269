using System.Globalization;
using System.Text.Json.Serialization;

namespace LowRank.Data;

/// <summary>Cuts examples to the maximum length and counts what is lost.</summary>
internal sealed class ExampleCutter(int maxLength)
{
    private const int Named = 10;
    private int longest;
    private readonly List<DataPlace> droppedPlaces = [];
    private long examples, tokens, trainedTokens, truncated, tokensCut, trainedCut, dropped, droppedTokens, padded;

    /// <summary>The example, cut to the maximum length; null if nothing is left to learn.</summary>
    public TokenizedExample? Cut(TokenizedExample example)
    {
        bool wasCut = example.InputIds.Length > maxLength;
        if (wasCut)
        {
            truncated++;
            tokensCut += example.InputIds.Length - maxLength;
            trainedCut += example.PredictedLabels;
            example = example with
            {
                InputIds = example.InputIds[..maxLength],
                Labels = example.Labels[..maxLength],
                AttentionMask = example.AttentionMask?[..maxLength],
            };
        }
        int trained = example.PredictedLabels;
        if (wasCut) trainedCut -= trained;
        if (trained == 0)
        {
            dropped++;
            droppedTokens += example.InputIds.Length;
            if (example.Place is { } place && droppedPlaces.Count < Named) droppedPlaces.Add(place);
            return null;
        }
        examples++;
        longest = Math.Max(longest, example.Length);
        if (!example.IsWhole) padded++;
        tokens += example.InputIds.Length;
        trainedTokens += trained;
        return example;
    }

    /// <summary>The counts so far.</summary>
    public TokenizationSummary Summary() =>
        new(examples, tokens, trainedTokens, maxLength, truncated, tokensCut, dropped, droppedPlaces)
    {
        TrainedTokensCut = trainedCut, TokensRead = tokens + tokensCut + droppedTokens, Longest = longest,
            Padded = padded,
    };
}

/// <summary>A summary of the rows.</summary>
/// <param name="Examples">Number of rows used.</param>
/// <param name="Tokens">Number of tokens, after cutting.</param>
/// <param name="TrainedTokens">Number of predicted labels.</param>
/// <param name="MaxLength">Maximum example length.</param>
/// <param name="Truncated">Number of rows that were cut, including dropped rows.</param>
/// <param name="TokensCut">Number of tokens cut off.</param>
/// <param name="Dropped">Number of rows dropped because nothing was left to predict after cutting.</param>
/// <param name="DroppedPlaces">The places of the first ten dropped rows.</param>
internal sealed record TokenizationSummary(
    long Examples, long Tokens, long TrainedTokens, int MaxLength, long Truncated, long TokensCut,
    long Dropped, IReadOnlyList<DataPlace> DroppedPlaces)
{
    /// <summary>Tokens of all rows before cutting.</summary>
    public long TokensRead { get; init; }

    /// <summary>Tokens of the longest example.</summary>
    public int Longest { get; init; }

    /// <summary>Number of examples with padding in their attention mask.</summary>
    public long Padded { get; init; }

    /// <summary>Number of labels cut off, including those of dropped rows.</summary>
    public long TrainedTokensCut { get; init; }

    /// <summary>Notes for the user, one sentence each; empty if every row is used in full.</summary>
    [JsonIgnore]
    public IReadOnlyList<Words> Warnings
    {
        get
        {
            var warnings = new List<Words>();
            if (Truncated > 0)
                warnings.Add(
                    $"{Rows(Truncated)} longer than {KnownSettings.MaxLength} {MaxLength} and lost {TokensCut} " +
                    $"tokens at the end{Shares()}.");
            if (Dropped > 0)
            {
                string more = Dropped > DroppedPlaces.Count ? $", and {Dropped - DroppedPlaces.Count} more" : "";
                warnings.Add(
                    $"{Rows(Dropped)} skipped because {(Dropped == 1 ? "its" : "their")} first {MaxLength} tokens " +
                    $"({KnownSettings.MaxLength}) contain nothing to learn: " +
                    $"{string.Join(", ", DroppedPlaces)}{more}.");
            }
            return warnings;
        }
    }

    private string Shares()
    {
        if (TokensRead == 0) return "";
        string all = string.Create(
            CultureInfo.InvariantCulture, $" ({100.0 * TokensCut / TokensRead:0.##} % of all tokens");
        return TrainedTokensCut == 0 ? $"{all}, none of them learned)"
            : string.Create(
                CultureInfo.InvariantCulture,
                $"{all}, {100.0 * TrainedTokensCut / (TrainedTokensCut + TrainedTokens):0.##} % of those that are " +
                $"learned)");
    }

    private static string Rows(long count) => count == 1 ? "1 row was" : $"{count} rows were";
}
