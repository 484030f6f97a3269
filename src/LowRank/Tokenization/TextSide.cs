namespace LowRank.Tokenization;

/// <summary>A side of a text.</summary>
public enum TextSide
{
    /// <summary>Its end.</summary>
    Right,

    /// <summary>Its beginning.</summary>
    Left,
}
