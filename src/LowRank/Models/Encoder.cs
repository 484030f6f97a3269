using LowRank.Models.Families;
using LowRank.Models.Layers;
using LowRank.Quantization;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models;

/// <summary>An encoder of any supported family: every token sees every other.</summary>
/// <remarks>Not thread-safe: one thread owns a model (dispose scopes are thread-static).</remarks>
public sealed class Encoder : ISequenceNetwork
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
        if (shape.TieHead && head.Kind == HeadKind.LanguageModel) weights.LetStandIn(family.EmbeddingPath + ".weight", family.OutputPath + ".weight");
        TokenEmbedding = new Embedding(weights, family.EmbeddingPath, shape.VocabularySize, shape.HiddenSize);
        if (shape.PositionRows > 0) positions = new Embedding(weights, family.PositionEmbeddingPath, shape.PositionRows, shape.HiddenSize);
        if (shape.TokenTypes > 0) types = new Embedding(weights, family.TypeEmbeddingPath, shape.TokenTypes, shape.HiddenSize);
        embeddingNorm = new LayerNorm(weights, family.EmbeddingNormPath, shape.HiddenSize, shape.NormEpsilon, hasBias: shape.NormBias);
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
    public IEnumerable<Projection> Projections =>
    [
        .. blocks.SelectMany(block => block.Projections),
        .. (Head?.Layers ?? []).Where(layer => layer != OutputHead),
    ];

    /// <inheritdoc/>
    public Head? Head { get; }

    /// <inheritdoc/>
    public Projection? OutputHead => HeadKind == HeadKind.LanguageModel ? Head!.Output : null;

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
    public static Encoder Build(EncoderFamily family, ConfigReader config, IWeightSource source, Device device, bool trainable, HeadRequest head)
    {
        EncoderShape shape = family.Read(config);
        _ = config.FlagOr("is_causal", false); // without effect in transformers' encoders
        config.ThrowIfInvalid();
        using var scope = NewDisposeScope();
        return new Encoder(family, shape, new WeightLoader(source, device, trainable, family.BasePrefix, head.Seed, head.Renewal), device, head);
    }

    /// <inheritdoc/>
    /// <exception cref="InputException">The sequence is longer than the model's positions, or a text type is not in its table.</exception>
    public Tensor States(ModelInput input, Generator? dropout = null)
    {
        using var scope = NewDisposeScope();
        if (input.Tokens.shape[1] > MaxPositions)
            throw new InputException($"The sequence has {input.Tokens.shape[1]} tokens; this model takes {MaxPositions} at most. Shorten the text, or lower max_length.");
        var context = ForwardContext.CreateBothWays(input.Tokens, input.AttentionMask, rope, localRope, dropout);
        Tensor hidden = TokenEmbedding.Forward(input.Tokens, dropout);
        if (types is not null) hidden = hidden + types.Forward(TypeRows(input));
        if (positions is not null) hidden = hidden + positions.Forward(PositionRows(input.Tokens, context));
        hidden = Dropout.Apply(embeddingNorm.Forward(hidden), Shape.EmbeddingDropout, dropout);
        hidden = BlockPass.Run(blocks, hidden, context, GradientCheckpointing);
        return (finalNorm is null ? hidden : finalNorm.Forward(hidden)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Tensor weight in parameters.Values) weight.Dispose();
        foreach (PackedWeight weight in packed.Values) weight.Dispose();
        rope?.Dispose();
        localRope?.Dispose();
    }

    // With a single type, as RoBERTa has, both texts of a pair are of it.
    private Tensor TypeRows(ModelInput input) =>
        input.TokenTypes is { } given && Shape.TokenTypes > 1 ? given : zeros_like(input.Tokens);

    private Tensor PositionRows(Tensor tokens, ForwardContext context)
    {
        if (Shape.PositionPadding is not { } padding) return context.Positions;
        Tensor mask = (tokens != padding).to(ScalarType.Int64);
        return mask.cumsum(1) * mask + padding;
    }
}
