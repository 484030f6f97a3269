using LowRank.Models.Layers;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models;

/// <summary>A model family, listed in <see cref="Families.FamilyRegistry"/>. Families of other programs derive from
/// <see cref="DecoderFamily"/> or <see cref="EncoderFamily"/>.</summary>
public interface IModelFamily
{
    /// <summary>The family's <c>model_type</c>.</summary>
    string ModelType { get; }

    /// <summary>Prefix of the bare model's tensors in a model with a head.</summary>
    string BasePrefix { get; }

    /// <summary>The default head, for a model that does not specify one.</summary>
    HeadKind DefaultHead { get; }

    /// <summary>The heads that can be built.</summary>
    IReadOnlyList<HeadKind> Heads { get; }

    /// <summary>The name of transformers' class for a head, as configs list it under <c>architectures</c>.</summary>
    string ClassName(HeadKind head);

    /// <summary>Builds a model.</summary>
    /// <param name="config">The model's <c>config.json</c>.</param>
    /// <param name="source">The model's weights.</param>
    /// <param name="device">The device to compute on.</param>
    /// <param name="trainable">True gives every weight its own memory, so that training can change it in place.</param>
    /// <param name="head">The head on top of the model's states; one of <see cref="Heads"/>.</param>
    /// <exception cref="InputException">The config asks for something unsupported, or weights are missing, unexpected
    /// or have the wrong shape; the message lists all problems.</exception>
    internal INetwork Build(ConfigReader config, IWeightSource source, Device device, bool trainable, HeadRequest head);
}

/// <summary>What distinguishes a family of decoders: how to read its <c>config.json</c>, its tensor names, and the
/// composition of a block. A new family is a file with a sealed subclass and a line in
/// <see cref="Families.FamilyRegistry"/>.</summary>
public abstract class DecoderFamily : IModelFamily
{
    /// <inheritdoc/>
    public abstract string ModelType { get; }

    /// <summary>Prefix of the names of transformers' classes.</summary>
    public abstract string ClassPrefix { get; }

    /// <inheritdoc/>
    public virtual string BasePrefix => "model.";

    /// <inheritdoc/>
    public HeadKind DefaultHead => HeadKind.LanguageModel;

    /// <inheritdoc/>
    public virtual IReadOnlyList<HeadKind> Heads =>
        [HeadKind.LanguageModel, HeadKind.SequenceClassification, HeadKind.TokenClassification, HeadKind.None];

    /// <summary>Path of the token classification layer.</summary>
    public virtual string TokenClassifierPath => "score";

    /// <summary>Path of the token embedding.</summary>
    public virtual string EmbeddingPath => "model.embed_tokens";

    /// <summary>Path of the learned position embedding; null for rotary positions.</summary>
    public virtual string? PositionEmbeddingPath => null;

    /// <summary>Path of the layer from a narrower embedding to the hidden size.</summary>
    public virtual string InputLinearPath => "project_in";

    /// <summary>Path of the layer from the hidden size back to the embedding width.</summary>
    public virtual string OutputLinearPath => "project_out";

    /// <summary>Path of the output head.</summary>
    public virtual string HeadPath => "lm_head";

    /// <summary>The keys of <c>config.json</c> by which every token sees those after it too, for messages.</summary>
    public virtual IReadOnlyList<string> BothWaysKeys => ["is_causal"];

    /// <summary>Reads the sizes; the reader collects problems.</summary>
    public abstract DecoderShape Read(ConfigReader config);

    /// <inheritdoc/>
    public virtual string ClassName(HeadKind head) => ClassPrefix + head switch
    {
        HeadKind.LanguageModel => "ForCausalLM",
        HeadKind.None => "Model",
        var kind => "For" + kind,
    };

    INetwork IModelFamily.Build(
        ConfigReader config, IWeightSource source, TorchSharp.torch.Device device, bool trainable, HeadRequest head) =>
        Decoder.Build(this, config, source, device, trainable, head);

    /// <summary>Builds the normalisation of the embeddings; null if there is none.</summary>
    public virtual INormalization? BuildEmbeddingNorm(WeightLoader weights, DecoderShape shape) => null;

    /// <summary>Builds one block.</summary>
    public abstract IBlock BuildBlock(WeightLoader weights, DecoderShape shape, int layer);

    /// <summary>Builds the normalisation before the output head; null if there is none.</summary>
    public virtual INormalization? BuildFinalNorm(WeightLoader weights, DecoderShape shape) =>
        new RmsNorm(weights, "model.norm", shape.HiddenSize, shape.NormEpsilon);

    /// <summary>Whether a checkpoint's unused tensor is irrelevant to the computation.</summary>
    public virtual bool IsIgnorable(string name) => name.EndsWith(".rotary_emb.inv_freq", StringComparison.Ordinal);
}

/// <summary>What distinguishes a family of encoders: how to read its <c>config.json</c>, its tensor names, and the
/// composition of a block and its heads. A new family is a file with a sealed subclass and a line in
/// <see cref="Families.FamilyRegistry"/>.</summary>
public abstract class EncoderFamily : IModelFamily
{
    /// <inheritdoc/>
    public abstract string ModelType { get; }

    /// <summary>Prefix of the names of transformers' classes.</summary>
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

    /// <summary>Prefixes of head tensors: those of other heads than the requested one are left in the file.</summary>
    public abstract IReadOnlyList<string> HeadPrefixes { get; }

    /// <inheritdoc/>
    public string ClassName(HeadKind head) => ClassPrefix + head switch
    {
        HeadKind.LanguageModel => "ForMaskedLM",
        HeadKind.None => "Model",
        var kind => "For" + kind,
    };

    /// <summary>Reads the sizes; the reader collects problems.</summary>
    public abstract EncoderShape Read(ConfigReader config);

    /// <summary>Builds one block.</summary>
    public abstract IBlock BuildBlock(WeightLoader weights, EncoderShape shape, int layer);

    /// <summary>Builds the normalisation after the blocks; null if there is none.</summary>
    public virtual INormalization? BuildFinalNorm(WeightLoader weights, EncoderShape shape) => null;

    /// <summary>Builds a head.</summary>
    public abstract Head BuildHead(WeightLoader weights, EncoderShape shape, HeadRequest request, Embedding embedding);

    INetwork IModelFamily.Build(
        ConfigReader config, IWeightSource source, TorchSharp.torch.Device device, bool trainable, HeadRequest head) =>
        Encoder.Build(this, config, source, device, trainable, head);

    /// <summary>Whether a checkpoint's unused tensor is irrelevant to the computation.</summary>
    public bool IsIgnorable(string name) => name.EndsWith("position_ids", StringComparison.Ordinal)
        || name.EndsWith(".rotary_emb.inv_freq", StringComparison.Ordinal)
        || HeadPrefixes.Any(prefix => name.StartsWith(prefix, StringComparison.Ordinal));
}

/// <summary>The paths of the weights of a masked language model's head.</summary>
/// <param name="Dense">The dense layer.</param>
/// <param name="Norm">The norm after it.</param>
/// <param name="Output">The layer that scores the vocabulary.</param>
/// <param name="Bias">The full name of the bias that the output's own bias is tied to if the embedding's weight is
/// shared.</param>
internal sealed record MaskedHeadPaths(string Dense, string Norm, string Output, string Bias);
