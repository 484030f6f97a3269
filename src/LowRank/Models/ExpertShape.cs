namespace LowRank.Models;

/// <summary>The sizes of a mixture of experts.</summary>
/// <param name="Count">Experts of a layer.</param>
/// <param name="Active">Experts that a position goes to.</param>
/// <param name="IntermediateSize">Width of an expert's feed-forward layer.</param>
/// <param name="NormalizesShares">Whether the chosen experts' probabilities are scaled to sum to 1.</param>
public sealed record ExpertShape(int Count, int Active, int IntermediateSize, bool NormalizesShares)
{
    /// <summary>Layers with one plain feed-forward layer instead of experts.</summary>
    public IReadOnlyCollection<int> PlainLayers { get; init; } = [];
}
