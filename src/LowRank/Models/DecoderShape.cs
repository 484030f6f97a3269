namespace LowRank.Models;

/// <summary>The sizes and settings of a decoder, as a family reads them from <c>config.json</c>.</summary>
public sealed record DecoderShape
{
    /// <summary>Rows of the token embedding.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>Width of the residual stream.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>Number of blocks.</summary>
    public required int Layers { get; init; }

    /// <summary>Query heads.</summary>
    public required int Heads { get; init; }

    /// <summary>Key-value heads (GQA, arXiv 2305.13245); equal to <see cref="Heads"/> without grouping.</summary>
    public required int KeyValueHeads { get; init; }

    /// <summary>Width of a head.</summary>
    public required int HeadDimension { get; init; }

    /// <summary>Width of the feed-forward layer.</summary>
    public required int IntermediateSize { get; init; }

    /// <summary>Longest sequence the model was made for.</summary>
    public required int MaxPositions { get; init; }

    /// <summary>Epsilon of the normalisation layers.</summary>
    public required double NormEpsilon { get; init; }

    /// <summary>Name of the activation, as transformers names it.</summary>
    public required string Activation { get; init; }

    /// <summary>Whether the output head computes with the embedding's weight.</summary>
    public required bool TieHead { get; init; }

    /// <summary>Rotary settings; null for learned positions.</summary>
    public RopeSettings? Rope { get; init; }

    /// <summary>Biases on the query, key and value projections.</summary>
    public bool AttentionBias { get; init; }

    /// <summary>Bias on the attention's output projection.</summary>
    public bool OutputBias { get; init; }

    /// <summary>Biases in the feed-forward layer.</summary>
    public bool FeedForwardBias { get; init; }

    /// <summary>For each layer, how many positions back it attends including its own; null attends to all.</summary>
    public required IReadOnlyList<int?> Windows { get; init; }

    /// <summary>Dropout on the sum of embeddings while training.</summary>
    public double EmbeddingDropout { get; init; }

    /// <summary>Dropout on attention weights while training.</summary>
    public double AttentionDropout { get; init; }

    /// <summary>Dropout on each block's additions to the residual stream while training.</summary>
    public double ResidualDropout { get; init; }

    /// <summary>Standard deviation of freshly drawn weights.</summary>
    public double InitializerRange { get; init; } = 0.02;
}
