namespace LowRank.Recipes.Review;

/// <summary>What one source of rows comes to.</summary>
public sealed record ReviewedRows
{
    /// <summary>The source.</summary>
    public required string Name { get; init; }

    /// <summary>Rows that are used.</summary>
    public required long Rows { get; init; }

    /// <summary>Rows that cannot be used: unreadable, empty, or without a token to learn.</summary>
    public required long WrongRows { get; init; }

    /// <summary>The first ten of them, each with its place.</summary>
    public required IReadOnlyList<string> Problems { get; init; }

    /// <summary>Tokens before cutting.</summary>
    public required long Tokens { get; init; }

    /// <summary>Labels that are predicted, after cutting.</summary>
    public required long LearnedTokens { get; init; }

    /// <summary>The length that rows are cut to.</summary>
    public required int MaxLength { get; init; }

    /// <summary>Rows that are cut.</summary>
    public required long CutRows { get; init; }

    /// <summary>Tokens they lose.</summary>
    public required long CutTokens { get; init; }

    /// <summary>Labels they lose.</summary>
    public required long CutLearnedTokens { get; init; }

    /// <summary>Rows that are left out because all that they teach is cut off.</summary>
    public required long NeverLearned { get; init; }

    /// <summary>Where the first ten of them stand.</summary>
    public required IReadOnlyList<string> NeverLearnedPlaces { get; init; }

    /// <summary>Rows that were there before, token for token.</summary>
    public required long Duplicates { get; init; }

    /// <summary>Further rows whose letters and digits were there before.</summary>
    public required long NearDuplicates { get; init; }

    /// <summary>Length that half of the rows do not go beyond, in tokens before cutting.</summary>
    public required int MedianLength { get; init; }

    /// <summary>Length that 95 % of the rows do not go beyond.</summary>
    public required int Percentile95 { get; init; }

    /// <summary>Length of the longest row.</summary>
    public required int LongestRow { get; init; }

    /// <summary>How many rows have which length.</summary>
    public required IReadOnlyList<LengthBin> Lengths { get; init; }

    /// <summary>The first rows as the model will see them.</summary>
    public required IReadOnlyList<ReviewedText> Examples { get; init; }

    /// <summary>What was met while reading, a sentence each.</summary>
    public required IReadOnlyList<string> Notes { get; init; }

    /// <summary>Whether more rows follow that were not looked at.</summary>
    public required bool IsPartial { get; init; }
}
