using LowRank.Models.Layers;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models.Families;

/// <summary>A family of models, listed in <see cref="FamilyRegistry"/>.</summary>
public interface IModelFamily
{
    /// <summary>The value of <c>model_type</c> that names this family.</summary>
    string ModelType { get; }

    /// <summary>Prefix of the bare model's tensors inside a model with a head.</summary>
    string BasePrefix { get; }

    /// <summary>The head of a model that does not name one.</summary>
    HeadKind DefaultHead { get; }

    /// <summary>The heads that can be built.</summary>
    IReadOnlyList<HeadKind> Heads { get; }

    /// <summary>The name of transformers' class for a head, as configs have it under <c>architectures</c>.</summary>
    string ClassName(HeadKind head);

    /// <summary>Builds a model.</summary>
    /// <param name="config">The model's <c>config.json</c>.</param>
    /// <param name="source">Its weights.</param>
    /// <param name="device">Where it computes.</param>
    /// <param name="trainable">True gives every weight its own memory, so that training may change it in place.</param>
    /// <param name="head">What it computes from its states; one of <see cref="Heads"/>.</param>
    /// <exception cref="InputException">The config asks for something unsupported, or weights are missing, unexpected
    /// or mis-shaped: all problems at once.</exception>
    INetwork Build(ConfigReader config, IWeightSource source, Device device, bool trainable, HeadRequest head);
}

/// <summary>
/// What sets one family of decoders apart: how its <c>config.json</c> reads, what its tensors are called, and how a
/// block is composed. A new family is a file with a sealed subclass and a line in <see cref="FamilyRegistry"/>.
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
    public INetwork Build(ConfigReader config, IWeightSource source, TorchSharp.torch.Device device, bool trainable,
        HeadRequest head) =>
        Decoder.Build(this, config, source, device, trainable, head);

    /// <summary>Builds one block.</summary>
    public abstract IBlock BuildBlock(WeightLoader weights, DecoderShape shape, int layer);

    /// <summary>Builds the normalisation before the output head; null where there is none.</summary>
    public virtual INormalization? BuildFinalNorm(WeightLoader weights, DecoderShape shape) =>
        new RmsNorm(weights, "model.norm", shape.HiddenSize, shape.NormEpsilon);

    /// <summary>Whether a leftover tensor of a checkpoint carries nothing that is computed with.</summary>
    public virtual bool IsIgnorable(string name) => name.EndsWith(".rotary_emb.inv_freq", StringComparison.Ordinal);
}

/// <summary>
/// What sets one family of encoders apart: how its <c>config.json</c> reads, what its tensors are called, how a block
/// and its heads are composed. A new family is a file with a sealed subclass and a line in
/// <see cref="FamilyRegistry"/>.
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

    /// <summary>What tensors of heads begin with: those of a head that was not asked for are left in the
    /// file.</summary>
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
    public INetwork Build(ConfigReader config, IWeightSource source, TorchSharp.torch.Device device, bool trainable,
        HeadRequest head) =>
        Encoder.Build(this, config, source, device, trainable, head);

    /// <summary>Whether a leftover tensor of a checkpoint carries nothing that is computed with.</summary>
    public bool IsIgnorable(string name) => name.EndsWith("position_ids", StringComparison.Ordinal)
        || name.EndsWith(".rotary_emb.inv_freq", StringComparison.Ordinal)
        || HeadPrefixes.Any(prefix => name.StartsWith(prefix, StringComparison.Ordinal));
}

/// <summary>All families: those of this library in one list, and those that a program registers.</summary>
public static class FamilyRegistry
{
    private static readonly Registry<IModelFamily> Families = new("model family", family => family.ModelType,
    [
        new Bert(), new DistilBert(), new Gemma2(), new Gemma3Text(), new Gpt2(), new GptNeoX(), new Llama(),
        new Mistral(), new Mixtral(), new ModernBert(), new Opt(), new Phi3(), new Qwen2(), new Qwen3(),
        new Qwen3Moe(), new Roberta(), new T5(), new XlmRoberta(),
    ]);

    /// <summary>The supported values of <c>model_type</c>, sorted.</summary>
    public static IReadOnlyList<string> ModelTypes => Families.Names;

    /// <summary>All families, sorted by <c>model_type</c>.</summary>
    public static IReadOnlyList<IModelFamily> All => Families.All;

    /// <summary>Adds a family of your own, for every model that is opened afterwards; from any thread.</summary>
    /// <exception cref="ArgumentException">Its <c>model_type</c> is taken; families are not replaced.</exception>
    public static void Register(IModelFamily family) => Families.Register(family);

    /// <summary>The family of a <c>model_type</c>.</summary>
    /// <exception cref="InputException">It is not supported; the message lists those that are.</exception>
    public static IModelFamily Get(string modelType) => Families.Find(modelType)
        ?? throw new InputException(
            $"model_type \"{modelType}\" is not supported; supported: {string.Join(", ", ModelTypes)}.");
}

/// <summary>Where a masked language model's head has its weights.</summary>
/// <param name="Dense">The dense layer.</param>
/// <param name="Norm">The norm after it.</param>
/// <param name="Output">The layer that scores the vocabulary.</param>
/// <param name="Bias">The full name of the bias that its own shares while it shares the embedding's weight.</param>
internal sealed record MaskedHeadPaths(string Dense, string Norm, string Output, string Bias);
