namespace LowRank.Tokenization;

/// <summary>How a text becomes a <see cref="TokenEncoding"/>.</summary>
public sealed record EncodingOptions
{
    /// <summary>Whether the post-processor adds its tokens.</summary>
    public bool AddSpecialTokens { get; init; } = true;

    /// <summary>Most tokens, special ones included; null for no limit.</summary>
    public int? MaxLength { get; init; }

    /// <summary>Which text of a pair is cut.</summary>
    public Truncation Truncation { get; init; } = Truncation.LongestFirst;

    /// <summary>Where texts are cut; null for what the tokenizer's files say, else right.</summary>
    public TextSide? TruncationSide { get; init; }

    /// <summary>Tokens of the cut text that windows share.</summary>
    public int Stride { get; init; }

    /// <summary>Length that shorter encodings are filled to; null for none.</summary>
    public int? PadTo { get; init; }

    /// <summary>Where padding goes; null for what the tokenizer's files say, else right.</summary>
    public TextSide? PaddingSide { get; init; }
}
