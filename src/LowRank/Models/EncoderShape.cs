using LowRank.Models.Layers;

namespace LowRank.Models;

/// <summary>The sizes and settings of an encoder, as a family reads them from <c>config.json</c>.</summary>
public sealed record EncoderShape
{
    /// <summary>Rows of the token embedding.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>Width of the residual stream.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>Number of blocks.</summary>
    public required int Layers { get; init; }

    /// <summary>Heads of a layer.</summary>
    public required int Heads { get; init; }

    /// <summary>Width of the feed-forward layer.</summary>
    public required int IntermediateSize { get; init; }

    /// <summary>Longest sequence.</summary>
    public required int MaxPositions { get; init; }

    /// <summary>Rows of the table of learned positions; 0 where positions are rotary.</summary>
    public int PositionRows { get; init; }

    /// <summary>The padding token after which positions are counted, as RoBERTa does: padding takes the row of this number
    /// and the first token the row after it. Null where positions count from 0.</summary>
    public int? PositionPadding { get; init; }

    /// <summary>Rows of the table of text types; 0 for none.</summary>
    public int TokenTypes { get; init; }

    /// <summary>Epsilon of the normalisation layers.</summary>
    public required double NormEpsilon { get; init; }

    /// <summary>Whether norms have biases.</summary>
    public bool NormBias { get; init; } = true;

    /// <summary>Name of the activation, as transformers names it.</summary>
    public required string Activation { get; init; }

    /// <summary>Rotary settings; null for learned positions.</summary>
    public RopeSettings? Rope { get; init; }

    /// <summary>Rotary settings of the layers that attend in a window, where they have their own.</summary>
    public RopeSettings? LocalRope { get; init; }

    /// <summary>For each layer, to how many positions on either side it attends including its own; null attends to all.</summary>
    public required IReadOnlyList<int?> Windows { get; init; }

    /// <summary>Biases on the attention's projections.</summary>
    public bool AttentionBias { get; init; } = true;

    /// <summary>Biases in the feed-forward layer.</summary>
    public bool FeedForwardBias { get; init; } = true;

    /// <summary>Dropout on embeddings while training.</summary>
    public double EmbeddingDropout { get; init; }

    /// <summary>Dropout on attention weights while training.</summary>
    public double AttentionDropout { get; init; }

    /// <summary>Dropout on each block's additions to the residual stream while training.</summary>
    public double ResidualDropout { get; init; }

    /// <summary>Dropout inside the feed-forward layer while training.</summary>
    public double FeedForwardDropout { get; init; }

    /// <summary>Dropout before a classifier while training.</summary>
    public double ClassifierDropout { get; init; }

    /// <summary>Dropout before a classifier of tokens, where it differs from that of texts.</summary>
    public double TokenDropout { get; init; }

    /// <summary>Dropout before the scores of answers while training.</summary>
    public double AnswerDropout { get; init; }

    /// <summary>Name of the heads' activation, where they have their own.</summary>
    public string HeadActivation { get; init; } = "gelu";

    /// <summary>Bias on the heads' dense layer, where configs say.</summary>
    public bool HeadBias { get; init; } = true;

    /// <summary>Bias on the masked language model's scores.</summary>
    public bool OutputBias { get; init; } = true;

    /// <summary>Which state the classifiers of texts take.</summary>
    public Pooling Pooling { get; init; } = Pooling.First;

    /// <summary>Whether the masked language model's output shares the embedding's weight, unless the checkpoint has another for it.</summary>
    public bool TieHead { get; init; } = true;

    /// <summary>Standard deviation of freshly drawn weights.</summary>
    public double InitializerRange { get; init; } = 0.02;

    /// <summary>Width of a head.</summary>
    public int HeadDimension => HiddenSize / Heads;

    /// <summary>The attention settings of a layer.</summary>
    public AttentionSettings Attention(int layer) => new(layer, Windows[layer], Dropout: AttentionDropout,
        UsesLocalRope: LocalRope is not null && Windows[layer] is not null);
}
