using LowRank.Models.Layers;

namespace LowRank.Models.Families;

/// <summary>
/// What sets one family of decoders apart: how its <c>config.json</c> reads, what its tensors are called, and how a
/// block is composed. A new family is a file with a sealed subclass; it is found by its type.
/// </summary>
public abstract class DecoderFamily : IModelFamily
{
    /// <inheritdoc/>
    public abstract string ModelType { get; }

    /// <summary>What the names of transformers' classes begin with.</summary>
    public abstract string ClassPrefix { get; }

    /// <inheritdoc/>
    public virtual string BasePrefix => "model.";

    /// <inheritdoc/>
    public HeadKind DefaultHead => HeadKind.LanguageModel;

    /// <inheritdoc/>
    public virtual IReadOnlyList<HeadKind> Heads =>
        [HeadKind.LanguageModel, HeadKind.SequenceClassification, HeadKind.TokenClassification, HeadKind.None];

    /// <summary>Path of the layer that labels tokens.</summary>
    public virtual string TokenClassifierPath => "score";

    /// <summary>Path of the token embedding.</summary>
    public virtual string EmbeddingPath => "model.embed_tokens";

    /// <summary>Path of the learned position embedding; null where positions are rotary.</summary>
    public virtual string? PositionEmbeddingPath => null;

    /// <summary>Path of the projection from a narrower embedding to the hidden size.</summary>
    public virtual string InputProjectionPath => "project_in";

    /// <summary>Path of the projection from the hidden size back to the embedding's.</summary>
    public virtual string OutputProjectionPath => "project_out";

    /// <summary>Path of the output head.</summary>
    public virtual string HeadPath => "lm_head";

    /// <summary>Reads the sizes; problems are collected in the reader.</summary>
    public abstract DecoderShape Read(ConfigReader config);

    /// <inheritdoc/>
    public virtual string ClassName(HeadKind head) => ClassPrefix + head switch
    {
        HeadKind.LanguageModel => "ForCausalLM",
        HeadKind.None => "Model",
        var kind => "For" + kind,
    };

    /// <inheritdoc/>
    public INetwork Build(ConfigReader config, IWeightSource source, TorchSharp.torch.Device device, bool trainable, HeadRequest head) =>
        Decoder.Build(this, config, source, device, trainable, head);

    /// <summary>Builds one block.</summary>
    public abstract IBlock BuildBlock(WeightLoader weights, DecoderShape shape, int layer);

    /// <summary>Builds the normalisation before the output head; null where there is none.</summary>
    public virtual INormalization? BuildFinalNorm(WeightLoader weights, DecoderShape shape) =>
        new RmsNorm(weights, "model.norm", shape.HiddenSize, shape.NormEpsilon);

    /// <summary>Whether a leftover tensor of a checkpoint carries nothing that is computed with.</summary>
    public virtual bool IsIgnorable(string name) => name.EndsWith(".rotary_emb.inv_freq", StringComparison.Ordinal);
}
