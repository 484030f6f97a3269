using LowRank.Kernels;
using LowRank.Models.Families;
using LowRank.Models.Layers;
using LowRank.Quantization;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models;

/// <summary>An encoder of any supported family: every token sees all tokens.</summary>
/// <remarks>Not thread-safe: one thread owns a model (dispose scopes are thread-static).</remarks>
internal sealed class Encoder : ISequenceNetwork
{
    private readonly Embedding? positions;
    private readonly Embedding? types;
    private readonly INormalization embeddingNorm;
    private readonly IBlock[] blocks;
    private readonly INormalization? finalNorm;
    private readonly RotaryEmbedding? rope;
    private readonly RotaryEmbedding? localRope;
    private readonly Dictionary<string, Tensor> parameters;
    private readonly Dictionary<string, PackedWeight> packed;
    private readonly Func<string, string> storedName;

    private Encoder(EncoderFamily family, EncoderShape shape, WeightLoader weights, Device device, HeadRequest head)
    {
        (Family, Shape, Device, HeadKind) = (family, shape, device, head.Kind);
        if (shape.TieHead && head.Kind == HeadKind.LanguageModel)
            weights.DeclareShared(family.EmbeddingPath + ".weight", family.OutputPath + ".weight");
        TokenEmbedding = new Embedding(weights, family.EmbeddingPath, shape.VocabularySize, shape.HiddenSize);
        if (shape.PositionRows > 0)
            positions = new Embedding(weights, family.PositionEmbeddingPath, shape.PositionRows, shape.HiddenSize);
        if (shape.TokenTypes > 0)
            types = new Embedding(weights, family.TypeEmbeddingPath, shape.TokenTypes, shape.HiddenSize);
        embeddingNorm =
            new LayerNorm(
                weights, family.EmbeddingNormPath, shape.HiddenSize, shape.NormEpsilon, hasBias: shape.NormBias);
        blocks = [.. Enumerable.Range(0, shape.Layers).Select(layer => family.BuildBlock(weights, shape, layer))];
        finalNorm = family.BuildFinalNorm(weights, shape);
        Head = head.Kind == HeadKind.None ? null : family.BuildHead(weights, shape, head, TokenEmbedding);
        weights.Finish(family.IsIgnorable);
        parameters = new Dictionary<string, Tensor>(weights.Parameters);
        packed = new Dictionary<string, PackedWeight>(weights.PackedWeights);
        CreatedWeights = weights.Created;
        DuplicateWeights = weights.Duplicates;
        storedName = weights.StoredName;
        if (shape.Rope is { } settings) rope = new RotaryEmbedding(settings, device);
        if (shape.LocalRope is { } local) localRope = new RotaryEmbedding(local, device);
    }

    /// <summary>The family the model belongs to.</summary>
    public EncoderFamily Family { get; }

    IModelFamily INetwork.Family => Family;

    /// <summary>The model's sizes.</summary>
    public EncoderShape Shape { get; }

    /// <inheritdoc/>
    public HeadKind HeadKind { get; }

    /// <inheritdoc/>
    public Device Device { get; }

    /// <inheritdoc/>
    public int VocabularySize => Shape.VocabularySize;

    /// <inheritdoc/>
    public int MaxPositions => Shape.MaxPositions;

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, Tensor> Parameters => parameters;

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, PackedWeight> PackedWeights => packed;

    /// <inheritdoc/>
    public Embedding TokenEmbedding { get; }

    /// <inheritdoc/>
    public IEnumerable<Linear> LinearLayers =>
    [
        .. blocks.SelectMany(block => block.LinearLayers),
        .. (Head?.Layers ?? []).Where(layer => layer != OutputHead),
    ];

    /// <inheritdoc/>
    public Head? Head { get; }

    /// <inheritdoc/>
    public Linear? OutputHead => HeadKind == HeadKind.LanguageModel ? Head!.Output : null;

    /// <inheritdoc/>
    public Pooling Pooling => Shape.Pooling;

    /// <inheritdoc/>
    public bool GradientCheckpointing { get; set; }

    /// <inheritdoc/>
    public IReadOnlyCollection<string> CreatedWeights { get; }

    /// <inheritdoc/>
    public IReadOnlyCollection<string> DuplicateWeights { get; }

    /// <inheritdoc/>
    public ISet<string> ReplacedWeights { get; } = new HashSet<string>();

    /// <inheritdoc/>
    public string StoredName(string parameter) => storedName(parameter);

    /// <summary>Builds a model; see <see cref="IModelFamily.Build"/>.</summary>
    public static Encoder Build(
        EncoderFamily family, ConfigReader config, IWeightSource source, Device device, bool trainable,
        HeadRequest head)
    {
        EncoderShape shape = family.Read(config);
        _ = config.FlagOr("is_causal", false); // without effect in transformers' encoders
        config.ThrowIfInvalid();
        using var scope = NewDisposeScope();
        return new Encoder(
            family, shape, new WeightLoader(source, device, trainable, family.BasePrefix, head.Seed, head.Renewal),
            device, head);
    }

    /// <inheritdoc/>
    /// <exception cref="InputException">The sequence is longer than the model supports, or its table lacks a text
    /// type.</exception>
    public Tensor States(ModelInput input, Generator? dropout = null)
    {
        using var scope = NewDisposeScope();
        if (input.Tokens.shape[1] > MaxPositions)
            throw new InputException(
                $"The sequence has {input.Tokens.shape[1]} tokens; this model takes {MaxPositions} at most. " +
                $"Shorten the text, or lower {KnownSettings.MaxLength}.");
        var context = ForwardContext.CreateBothWays(input.Tokens, input.AttentionMask, rope, localRope, dropout);
        Tensor hidden = TokenEmbedding.Forward(input.Tokens, dropout);
        if (types is not null) hidden = hidden.Plus(types.Forward(TypeRows(input)));
        if (positions is not null) hidden = hidden.Plus(positions.Forward(PositionRows(input.Tokens, context)));
        hidden = Dropout.Apply(embeddingNorm.Forward(hidden), Shape.EmbeddingDropout, dropout);
        hidden = BlockPass.Run(blocks, hidden, context, GradientCheckpointing);
        return (finalNorm is null ? hidden : finalNorm.Forward(hidden)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Tensor weight in parameters.Values) weight.Dispose();
        foreach (PackedWeight weight in packed.Values) weight.Dispose();
        OutputHead?.DisposeCopy();
        rope?.Dispose();
        localRope?.Dispose();
    }

    // With a single text type, as in RoBERTa, both texts of a pair use it.
    private Tensor TypeRows(ModelInput input) =>
        input.TokenTypes is { } given && Shape.TokenTypes > 1 ? given : zeros_like(input.Tokens);

    private Tensor PositionRows(Tensor tokens, ForwardContext context)
    {
        if (Shape.PositionPadding is not { } padding) return context.Positions;
        Tensor mask = (tokens != Number(padding)).to(ScalarType.Int64);
        return (mask.cumsum(1) * mask).Plus(padding);
    }
}

/// <summary>The sizes and settings of an encoder, as a family reads them from <c>config.json</c>.</summary>
public sealed record EncoderShape
{
    /// <summary>Rows of the token embedding.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>Width of the residual stream.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>Number of blocks.</summary>
    public required int Layers { get; init; }

    /// <summary>Number of heads per layer.</summary>
    public required int Heads { get; init; }

    /// <summary>Width of the feed-forward layer.</summary>
    public required int IntermediateSize { get; init; }

    /// <summary>The longest sequence.</summary>
    public required int MaxPositions { get; init; }

    /// <summary>Number of rows in the table of learned positions; 0 for rotary positions.</summary>
    public int PositionRows { get; init; }

    /// <summary>The padding token after which positions are counted, as in RoBERTa: padding takes the row with this
    /// number and the first token takes the next row. Null if positions count from 0.</summary>
    public int? PositionPadding { get; init; }

    /// <summary>Number of rows in the table of text types; 0 for none.</summary>
    public int TokenTypes { get; init; }

    /// <summary>Epsilon of the normalisation layers.</summary>
    public required double NormEpsilon { get; init; }

    /// <summary>Whether norms have biases.</summary>
    public bool NormBias { get; init; } = true;

    /// <summary>Name of the activation, as in transformers.</summary>
    public required string Activation { get; init; }

    /// <summary>Rotary settings; null for learned positions.</summary>
    public RopeSettings? Rope { get; init; }

    /// <summary>Rotary settings of layers that attend in a window, if they differ.</summary>
    public RopeSettings? LocalRope { get; init; }

    /// <summary>For each layer, the size of its window on each side, including the token's own position; null attends
    /// to all.</summary>
    public required IReadOnlyList<int?> Windows { get; init; }

    /// <summary>Whether the attention's linear layers have biases.</summary>
    public bool AttentionBias { get; init; } = true;

    /// <summary>Whether the feed-forward layer has biases.</summary>
    public bool FeedForwardBias { get; init; } = true;

    /// <summary>Dropout on embeddings while training.</summary>
    public double EmbeddingDropout { get; init; }

    /// <summary>Dropout on attention weights while training.</summary>
    public double AttentionDropout { get; init; }

    /// <summary>Dropout on each block's additions to the residual stream while training.</summary>
    public double ResidualDropout { get; init; }

    /// <summary>Dropout inside the feed-forward layer while training.</summary>
    public double FeedForwardDropout { get; init; }

    /// <summary>Dropout before a text classifier while training.</summary>
    public double ClassifierDropout { get; init; }

    /// <summary>Dropout before a token classifier, if it differs from the text classifier's.</summary>
    public double TokenDropout { get; init; }

    /// <summary>Dropout before the question-answering scores while training.</summary>
    public double AnswerDropout { get; init; }

    /// <summary>Name of the heads' activation, if they have their own.</summary>
    public string HeadActivation { get; init; } = "gelu";

    /// <summary>Whether the heads' dense layer has a bias, if configs specify it.</summary>
    public bool HeadBias { get; init; } = true;

    /// <summary>Whether the masked language model's scores have a bias.</summary>
    public bool OutputBias { get; init; } = true;

    /// <summary>The state that text classifiers use.</summary>
    public Pooling Pooling { get; init; } = Pooling.First;

    /// <summary>Whether the masked language model's output shares the embedding's weight, unless the checkpoint has a
    /// separate one.</summary>
    public bool TieHead { get; init; } = true;

    /// <summary>Standard deviation of newly initialised weights.</summary>
    public double InitializerRange { get; init; } = 0.02;

    /// <summary>Width of a head.</summary>
    public int HeadDimension => HiddenSize / Heads;

    /// <summary>The attention settings of a layer.</summary>
    public AttentionSettings Attention(int layer) => new(layer, Windows[layer], Dropout: AttentionDropout,
        UsesLocalRope: LocalRope is not null && Windows[layer] is not null);
}
