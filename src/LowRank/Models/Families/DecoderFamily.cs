using LowRank.Models.Layers;

namespace LowRank.Models.Families;

/// <summary>
/// What sets one family of decoders apart: how its <c>config.json</c> reads, what its tensors are called, and how a
/// block is composed. A new family is a file with a sealed subclass; it is found by its type.
/// </summary>
public abstract class DecoderFamily
{
    /// <summary>The value of <c>model_type</c> that names this family.</summary>
    public abstract string ModelType { get; }

    /// <summary>Prefix of the transformer's tensors inside the causal model.</summary>
    public virtual string BasePrefix => "model.";

    /// <summary>Path of the token embedding.</summary>
    public virtual string EmbeddingPath => "model.embed_tokens";

    /// <summary>Path of the learned position embedding; null where positions are rotary.</summary>
    public virtual string? PositionEmbeddingPath => null;

    /// <summary>Path of the output head.</summary>
    public virtual string HeadPath => "lm_head";

    /// <summary>Reads the sizes; problems are collected in the reader.</summary>
    public abstract DecoderShape Read(ConfigReader config);

    /// <summary>Builds one block.</summary>
    public abstract IDecoderBlock BuildBlock(WeightLoader weights, DecoderShape shape, int layer);

    /// <summary>Builds the normalisation before the output head.</summary>
    public virtual INormalization BuildFinalNorm(WeightLoader weights, DecoderShape shape) =>
        new RmsNorm(weights, "model.norm", shape.HiddenSize, shape.NormEpsilon);

    /// <summary>Whether a leftover tensor of a checkpoint carries nothing that is computed with.</summary>
    public virtual bool IsIgnorable(string name) => name.EndsWith(".rotary_emb.inv_freq", StringComparison.Ordinal);
}
