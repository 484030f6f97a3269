using LowRank.Models.Layers;

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

    /// <summary>The longest sequence the model was trained for.</summary>
    public required int MaxPositions { get; init; }

    /// <summary>The longest text that the model can continue: <see cref="MaxPositions"/>, multiplied by the factor of
    /// scaled rotary positions (linear and dynamic scaling leave max_position_embeddings unchanged; yarn's factor
    /// applies to the original length). Gemma 3's config already contains the extended length.</summary>
    public int ContextLength => Rope is null || LocalRope is not null ? MaxPositions
        : (int)Math.Min(int.MaxValue, Math.Max(MaxPositions, Rope.Type switch
    {
        "linear" or "dynamic" => Rope.Factor * MaxPositions,
        "yarn" => Rope.Factor * Rope.OriginalMaxPositions,
        _ => MaxPositions,
    }));

    /// <summary>Epsilon of the normalisation layers.</summary>
    public required double NormEpsilon { get; init; }

    /// <summary>Name of the activation, as in transformers.</summary>
    public required string Activation { get; init; }

    /// <summary>Whether the output head shares the embedding's weight, unless the checkpoint has a separate
    /// one.</summary>
    public required bool TieHead { get; init; }

    /// <summary>Rotary settings; null for learned positions.</summary>
    public RopeSettings? Rope { get; init; }

    /// <summary>Rotary settings of layers that attend in a window; null if they share <see cref="Rope"/>.</summary>
    public RopeSettings? LocalRope { get; init; }

    /// <summary>Width of the token embedding if linear layers map it to the hidden size and back; null if they are
    /// equal.</summary>
    public int? EmbeddingSize { get; init; }

    /// <summary>Indices of the layers that do not rotate queries and keys, in a model with rotary positions.</summary>
    public IReadOnlyCollection<int> UnrotatedLayers { get; init; } = [];

    /// <summary>Positions as biases on the attention scores; null for none.</summary>
    internal Alibi? Alibi { get; init; }

    /// <summary>Width of a head's keys and values as attention and its cache hold them.</summary>
    internal int KeyDimension => HeadDimension + (Alibi is null ? 0 : 1);

    /// <summary>Factor of the embeddings; 1 for most.</summary>
    public double EmbeddingScale { get; init; } = 1;

    /// <summary>Whether <see cref="EmbeddingScale"/> applies to the vectors of a trained prompt too.</summary>
    public bool ScalesPrompt { get; init; }

    /// <summary>Factor of each part's addition to the residual stream; 1 for most.</summary>
    public double ResidualScale { get; init; } = 1;

    /// <summary>Factor of the logits; 1 for most.</summary>
    public double LogitScale { get; init; } = 1;

    /// <summary>Whether the output head has a bias.</summary>
    public bool HeadBias { get; init; }

    /// <summary>Number of rows before position 0 in the table of learned positions.</summary>
    public int PositionOffset { get; init; }

    /// <summary>Factor of the attention scores; null for 1/√(head width).</summary>
    public double? AttentionScale { get; init; }

    /// <summary>The cap c of attention scores, c·tanh(x/c) (Gemma 2, arXiv 2408.00118, section 2); null for
    /// none.</summary>
    public double? AttentionSoftcap { get; init; }

    /// <summary>The cap c of logits, c·tanh(x/c); null for none.</summary>
    public double? LogitSoftcap { get; init; }

    /// <summary>Whether the query, key and value layers have biases.</summary>
    public bool AttentionBias { get; init; }

    /// <summary>Whether the attention's output layer has a bias.</summary>
    public bool OutputBias { get; init; }

    /// <summary>Whether the feed-forward layer has biases.</summary>
    public bool FeedForwardBias { get; init; }

    /// <summary>Whether queries and keys are normalised per head, in a family whose config says so.</summary>
    public bool NormalizesHeads { get; init; }

    /// <summary>Whether attention and feed-forward both read a block's input.</summary>
    public bool ParallelResidual { get; init; }

    /// <summary>Number of norms of a parallel block; 1 if both parts read the same.</summary>
    internal int ParallelNorms { get; init; } = 1;

    /// <summary>Whether a fused layer holds the queries of a key-value head beside it.</summary>
    internal bool GroupsHeads { get; init; }

    /// <summary>Whether norms come after each part of a block instead of before it.</summary>
    public bool NormsAfter { get; init; }

    /// <summary>Whether norms have weights and biases; otherwise they only normalise.</summary>
    public bool NormsHaveWeights { get; init; } = true;

    /// <summary>Whether there is a norm between the blocks and the output head.</summary>
    public bool HasFinalNorm { get; init; } = true;

    /// <summary>The mixture of experts that replaces feed-forward layers; null for none.</summary>
    public ExpertShape? Experts { get; init; }

    /// <summary>Whether every token also sees later tokens, as in embedding models; such a model cannot continue
    /// texts.</summary>
    public bool AttendsBothWays { get; init; }

    /// <summary>For each layer, the number of positions in its window, including its own (on each side with
    /// <see cref="AttendsBothWays"/>); null attends to all.</summary>
    public required IReadOnlyList<int?> Windows { get; init; }

    /// <summary>Dropout on the sum of embeddings while training.</summary>
    public double EmbeddingDropout { get; init; }

    /// <summary>Dropout on attention weights while training.</summary>
    public double AttentionDropout { get; init; }

    /// <summary>Dropout on each block's additions to the residual stream while training.</summary>
    public double ResidualDropout { get; init; }

    /// <summary>Dropout before a token classifier while training.</summary>
    public double ClassifierDropout { get; init; } = 0.1;

    /// <summary>Standard deviation of newly initialised weights.</summary>
    public double InitializerRange { get; init; } = 0.02;

    /// <summary>The attention settings of a layer.</summary>
    public AttentionSettings Attention(int layer) =>
        new(layer, Windows[layer], AttentionScale, AttentionSoftcap, AttentionDropout,
        UsesLocalRope: LocalRope is not null && Windows[layer] is not null)
        {
            Rotates = !UnrotatedLayers.Contains(layer),
            Alibi = Alibi,
        };
}

/// <summary>The sizes of a mixture of experts.</summary>
/// <param name="Count">Number of experts per layer.</param>
/// <param name="Active">Number of experts per position.</param>
/// <param name="IntermediateSize">Width of an expert's feed-forward layer.</param>
/// <param name="NormalizesWeights">Whether the chosen experts' probabilities are scaled to sum to 1.</param>
public sealed record ExpertShape(int Count, int Active, int IntermediateSize, bool NormalizesWeights)
{
    /// <summary>Indices of the layers with one plain feed-forward layer instead of experts.</summary>
    public IReadOnlyCollection<int> PlainLayers { get; init; } = [];

    /// <summary>Width of the expert that sees every position; null for none.</summary>
    public int? SharedSize { get; init; }
}

/// <summary>The sizes and settings of a sequence-to-sequence model.</summary>
internal sealed record EncoderDecoderShape
{
    /// <summary>Rows of the token embedding.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>Width of the residual stream.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>Number of encoder blocks.</summary>
    public required int EncoderLayers { get; init; }

    /// <summary>Number of decoder blocks.</summary>
    public required int DecoderLayers { get; init; }

    /// <summary>Number of heads per layer.</summary>
    public required int Heads { get; init; }

    /// <summary>Width of a head.</summary>
    public required int HeadDimension { get; init; }

    /// <summary>Width of the feed-forward layer.</summary>
    public required int IntermediateSize { get; init; }

    /// <summary>Whether the feed-forward layer is gated.</summary>
    public required bool IsGated { get; init; }

    /// <summary>Name of the activation, as in transformers.</summary>
    public required string Activation { get; init; }

    /// <summary>Number of buckets for relative distances.</summary>
    public required int DistanceBuckets { get; init; }

    /// <summary>The distance from which all distances share the last bucket.</summary>
    public required int MaxDistance { get; init; }

    /// <summary>Epsilon of the normalisation layers.</summary>
    public required double NormEpsilon { get; init; }

    /// <summary>Factor of the states before the output head; 1 for none.</summary>
    public required double OutputScale { get; init; }

    /// <summary>The first token of a target text.</summary>
    public required int StartTokenId { get; init; }

    /// <summary>Dropout while training.</summary>
    public double Dropout { get; init; }
}
