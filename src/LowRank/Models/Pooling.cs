namespace LowRank.Models;

/// <summary>Which state stands for a whole text.</summary>
public enum Pooling
{
    /// <summary>The first token's, [CLS] or &lt;s&gt;.</summary>
    First,

    /// <summary>The last token's that is not padding.</summary>
    Last,

    /// <summary>The mean over all tokens that are not padding.</summary>
    Mean,
}
