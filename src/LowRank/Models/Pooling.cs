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

    /// <summary>The largest value of each place over all tokens that are not padding.</summary>
    Max,

    /// <summary>The sum over all tokens that are not padding, divided by the root of their number.</summary>
    MeanOfRoot,

    /// <summary>The mean over all tokens that are not padding, each weighted by its position from 1.</summary>
    WeightedMean,
}
