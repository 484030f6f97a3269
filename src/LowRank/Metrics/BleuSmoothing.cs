namespace LowRank.Metrics;

/// <summary>What BLEU makes of an order of n-grams without a match (Chen and Cherry 2014).</summary>
public enum BleuSmoothing
{
    /// <summary>Half of the smallest share, a quarter for the next such order, and so on: mteval's and sacrebleu's default.</summary>
    Exponential,

    /// <summary>The score is 0.</summary>
    None,
}
