using LowRank.Models.Layers;

namespace LowRank.Models.Families;

/// <summary>
/// What sets one family of encoders apart: how its <c>config.json</c> reads, what its tensors are called, how a block and
/// its heads are composed. A new family is a file with a sealed subclass; it is found by its type.
/// </summary>
public abstract class EncoderFamily : IModelFamily
{
    /// <inheritdoc/>
    public abstract string ModelType { get; }

    /// <summary>What the names of transformers' classes begin with.</summary>
    public abstract string ClassPrefix { get; }

    /// <inheritdoc/>
    public abstract string BasePrefix { get; }

    /// <inheritdoc/>
    public HeadKind DefaultHead => HeadKind.None;

    /// <inheritdoc/>
    public IReadOnlyList<HeadKind> Heads { get; } = Enum.GetValues<HeadKind>();

    /// <summary>Path of the token embedding.</summary>
    public virtual string EmbeddingPath => BasePrefix + "embeddings.word_embeddings";

    /// <summary>Path of the learned position embedding.</summary>
    public virtual string PositionEmbeddingPath => BasePrefix + "embeddings.position_embeddings";

    /// <summary>Path of the embedding of text types.</summary>
    public virtual string TypeEmbeddingPath => BasePrefix + "embeddings.token_type_embeddings";

    /// <summary>Path of the norm after the embeddings.</summary>
    public virtual string EmbeddingNormPath => BasePrefix + "embeddings.LayerNorm";

    /// <summary>Path of the layer that scores the vocabulary.</summary>
    public abstract string OutputPath { get; }

    /// <summary>What tensors of heads begin with: those of a head that was not asked for are left in the file.</summary>
    public abstract IReadOnlyList<string> HeadPrefixes { get; }

    /// <inheritdoc/>
    public string ClassName(HeadKind head) => ClassPrefix + head switch
    {
        HeadKind.LanguageModel => "ForMaskedLM",
        HeadKind.None => "Model",
        var kind => "For" + kind,
    };

    /// <summary>Reads the sizes; problems are collected in the reader.</summary>
    public abstract EncoderShape Read(ConfigReader config);

    /// <summary>Builds one block.</summary>
    public abstract IBlock BuildBlock(WeightLoader weights, EncoderShape shape, int layer);

    /// <summary>Builds the normalisation after the blocks; null where there is none.</summary>
    public virtual INormalization? BuildFinalNorm(WeightLoader weights, EncoderShape shape) => null;

    /// <summary>Builds a head.</summary>
    public abstract Head BuildHead(WeightLoader weights, EncoderShape shape, HeadRequest request, Embedding embedding);

    /// <inheritdoc/>
    public INetwork Build(ConfigReader config, IWeightSource source, TorchSharp.torch.Device device, bool trainable, HeadRequest head) =>
        Encoder.Build(this, config, source, device, trainable, head);

    /// <summary>Whether a leftover tensor of a checkpoint carries nothing that is computed with.</summary>
    public bool IsIgnorable(string name) => name.EndsWith("position_ids", StringComparison.Ordinal)
        || name.EndsWith(".rotary_emb.inv_freq", StringComparison.Ordinal)
        || HeadPrefixes.Any(prefix => name.StartsWith(prefix, StringComparison.Ordinal));
}
