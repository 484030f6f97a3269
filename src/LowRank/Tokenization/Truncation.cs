namespace LowRank.Tokenization;

/// <summary>Which text of a pair is cut where both together are too long.</summary>
public enum Truncation
{
    /// <summary>Token by token the longer one.</summary>
    LongestFirst,

    /// <summary>The first.</summary>
    OnlyFirst,

    /// <summary>The second.</summary>
    OnlySecond,
}
