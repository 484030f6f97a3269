namespace LowRank.Models;

/// <summary>The sizes and settings of a model that turns one text into another.</summary>
public sealed record EncoderDecoderShape
{
    /// <summary>Rows of the token embedding.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>Width of the residual stream.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>Blocks of the encoder.</summary>
    public required int EncoderLayers { get; init; }

    /// <summary>Blocks of the decoder.</summary>
    public required int DecoderLayers { get; init; }

    /// <summary>Heads of a layer.</summary>
    public required int Heads { get; init; }

    /// <summary>Width of a head.</summary>
    public required int HeadDimension { get; init; }

    /// <summary>Width of the feed-forward layer.</summary>
    public required int IntermediateSize { get; init; }

    /// <summary>Whether the feed-forward layer is gated.</summary>
    public required bool IsGated { get; init; }

    /// <summary>Name of the activation, as transformers names it.</summary>
    public required string Activation { get; init; }

    /// <summary>Buckets of relative distances.</summary>
    public required int DistanceBuckets { get; init; }

    /// <summary>The distance from which on all share the last bucket.</summary>
    public required int MaxDistance { get; init; }

    /// <summary>Epsilon of the normalisation layers.</summary>
    public required double NormEpsilon { get; init; }

    /// <summary>What states are multiplied by before the output head; 1 for none.</summary>
    public required double OutputScale { get; init; }

    /// <summary>The token that a target text begins with.</summary>
    public required int StartTokenId { get; init; }

    /// <summary>Dropout while training.</summary>
    public double Dropout { get; init; }
}
