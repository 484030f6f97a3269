using LowRank.Kernels;
using LowRank.Models.Families;
using LowRank.Models.Layers;
using LowRank.Quantization;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models;

/// <summary>A sequence-to-sequence model: an encoder for the source and a decoder for the target (T5, arXiv
/// 1910.10683).</summary>
/// <remarks>Not thread-safe: one thread owns a model (dispose scopes are thread-static).</remarks>
public sealed class EncoderDecoder : INetwork
{
    private const string Shared = "shared.weight", SourceTable = "encoder.embed_tokens",
        TargetTable = "decoder.embed_tokens", HeadPath = "lm_head";

    private readonly Embedding sourceTable;
    private readonly Embedding targetTable;
    private readonly CrossBlock[] encoderBlocks;
    private readonly CrossBlock[] decoderBlocks;
    private readonly RelativePositions encoderPositions;
    private readonly RelativePositions decoderPositions;
    private readonly RmsNorm encoderNorm;
    private readonly RmsNorm decoderNorm;
    private readonly Dictionary<string, Tensor> parameters;
    private readonly Dictionary<string, PackedWeight> packed;
    private readonly Func<string, string> storedName;

    private EncoderDecoder(IModelFamily family, EncoderDecoderShape shape, WeightLoader weights, Device device)
    {
        (Family, Shape, Device) = (family, shape, device);
        weights.DeclareShared(Shared, SourceTable + ".weight", TargetTable + ".weight", HeadPath + ".weight");
        TokenEmbedding = new Embedding(weights, "shared", shape.VocabularySize, shape.HiddenSize);
        sourceTable = Table(weights, SourceTable);
        targetTable = Table(weights, TargetTable);
        const string Positions = ".block.0.layer.0.SelfAttention.relative_attention_bias";
        encoderBlocks =
            [.. Enumerable.Range(0, shape.EncoderLayers)
            .Select(layer => new CrossBlock(weights, $"encoder.block.{layer}", shape, attendsToSource: false))];
        encoderPositions = new RelativePositions(weights, "encoder" + Positions, shape, bothWays: true);
        encoderNorm = new RmsNorm(weights, "encoder.final_layer_norm", shape.HiddenSize, shape.NormEpsilon);
        decoderBlocks =
            [.. Enumerable.Range(0, shape.DecoderLayers)
            .Select(layer => new CrossBlock(weights, $"decoder.block.{layer}", shape, attendsToSource: true))];
        decoderPositions = new RelativePositions(weights, "decoder" + Positions, shape, bothWays: false);
        decoderNorm = new RmsNorm(weights, "decoder.final_layer_norm", shape.HiddenSize, shape.NormEpsilon);
        // T5 1.1 and Flan-T5 have a separate head; the files of T5 1.0 have none. The config does not matter.
        OutputHead = weights.IsShared(HeadPath + ".weight", Shared) ? Linear.Tied(weights, HeadPath, TokenEmbedding)
            : Linear.OutputHead(weights, HeadPath, shape.HiddenSize, shape.VocabularySize);
        weights.Finish(name => name == "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight");
        parameters = new Dictionary<string, Tensor>(weights.Parameters);
        packed = new Dictionary<string, PackedWeight>(weights.PackedWeights);
        storedName = weights.StoredName;
        DuplicateWeights = weights.Duplicates;
    }

    /// <inheritdoc/>
    public IModelFamily Family { get; }

    /// <summary>The model's sizes.</summary>
    internal EncoderDecoderShape Shape { get; }

    /// <inheritdoc/>
    public HeadKind HeadKind => HeadKind.LanguageModel;

    /// <inheritdoc/>
    public Device Device { get; }

    /// <inheritdoc/>
    public int VocabularySize => Shape.VocabularySize;

    /// <inheritdoc/>
    /// <remarks>Relative positions have no limit.</remarks>
    public int MaxPositions => int.MaxValue;

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, Tensor> Parameters => parameters;

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, PackedWeight> PackedWeights => packed;

    /// <inheritdoc/>
    public Embedding TokenEmbedding { get; }

    /// <inheritdoc/>
    public IEnumerable<Linear> LinearLayers =>
        encoderBlocks.Concat(decoderBlocks).SelectMany(block => block.LinearLayers);

    /// <inheritdoc/>
    public Linear OutputHead { get; }

    /// <inheritdoc/>
    public bool GradientCheckpointing
    {
        get => false;
        set
        {
            if (value)
                throw new InputException(
                    $"{KnownSettings.Checkpointing} is for decoders and encoders, not for encoder-decoder models " +
                    $"({Family.ModelType}): remove it, or lower {KnownSettings.BatchSize}.");
        }
    }

    /// <inheritdoc/>
    public IReadOnlyCollection<string> CreatedWeights => [];

    /// <inheritdoc/>
    public IReadOnlyCollection<string> DuplicateWeights { get; }

    /// <inheritdoc/>
    public ISet<string> ReplacedWeights { get; } = new HashSet<string>();

    /// <inheritdoc/>
    public string StoredName(string parameter) => storedName(parameter);

    /// <summary>Builds a model; see <see cref="IModelFamily.Build"/>.</summary>
    internal static EncoderDecoder Build(
        IModelFamily family, ConfigReader config, EncoderDecoderShape shape, IWeightSource source, Device device,
        bool trainable)
    {
        config.ThrowIfInvalid();
        using var scope = NewDisposeScope();
        return new EncoderDecoder(
            family, shape, new WeightLoader(source, device, trainable, family.BasePrefix), device);
    }

    /// <summary>The logits of every target position.</summary>
    /// <param name="source">The source texts.</param>
    /// <param name="targets">The decoder's input tokens, [batch, target].</param>
    /// <param name="dropout">The generator for dropout while training; null in evaluation.</param>
    /// <returns>[batch, target, vocabulary size]; the caller owns it.</returns>
    public Tensor Forward(ModelInput source, Tensor targets, Generator? dropout = null)
    {
        using var scope = NewDisposeScope();
        return Logits(TargetStates(source, targets, dropout), dropout).MoveToOuterDisposeScope();
    }

    /// <summary>The states of every target position, below the head.</summary>
    /// <returns>[batch, target, hidden]; the caller owns it.</returns>
    public Tensor TargetStates(ModelInput source, Tensor targets, Generator? dropout = null)
    {
        using var scope = NewDisposeScope();
        SourceStates states = EncodeSource(source, dropout);
        return Decode(targets, states, null, dropout).MoveToOuterDisposeScope();
    }

    /// <summary>Encodes source texts for <see cref="Decode"/>.</summary>
    /// <returns>The encoded source; the caller disposes of it.</returns>
    internal SourceStates EncodeSource(ModelInput source, Generator? dropout = null)
    {
        using var scope = NewDisposeScope();
        Tensor? padding = source.AttentionMask is { } mask && (mask == Number(0)).any().item<bool>()
            ? zeros(mask.shape, ScalarType.Float32, mask.device).masked_fill_(
                mask == Number(0), Number(double.NegativeInfinity)).unsqueeze(1).unsqueeze(1) : null;
        var context = ForwardContext.CreateBothWays(source.Tokens, null, null, null, dropout);
        long length = source.Tokens.shape[1];
        Tensor bias = encoderPositions.Bias(length, length);
        if (padding is not null) bias = bias.Plus(padding);
        Tensor hidden = Dropout.Apply(sourceTable.Forward(source.Tokens, dropout), Shape.Dropout, dropout);
        foreach (CrossBlock block in encoderBlocks) hidden = block.Forward(hidden, bias, null, null, context);
        hidden = Dropout.Apply(encoderNorm.Forward(hidden), Shape.Dropout, dropout);
        List<(Tensor, Tensor)> blocks = [];
        foreach (CrossBlock block in decoderBlocks)
        {
            (Tensor keys, Tensor values) = block.OfSource(hidden, dropout);
            blocks.Add((keys.MoveToOuterDisposeScope(), values.MoveToOuterDisposeScope()));
        }
        return new SourceStates(blocks, padding?.MoveToOuterDisposeScope());
    }

    /// <summary>The states of target tokens.</summary>
    /// <param name="targets">The decoder's input tokens, [batch, new].</param>
    /// <param name="source">The encoded source from <see cref="EncodeSource"/>.</param>
    /// <param name="cache">Earlier target positions; the new ones are appended.</param>
    /// <param name="dropout">The generator for dropout while training; null in evaluation.</param>
    /// <exception cref="InvalidOperationException">The cache has no room for the new positions.</exception>
    /// <returns>[batch, new, hidden]; the caller owns it.</returns>
    internal Tensor Decode(Tensor targets, SourceStates source, KeyValueCache? cache = null, Generator? dropout = null)
    {
        using var scope = NewDisposeScope();
        cache?.RequireRoom(targets.shape[1]);
        long added = targets.shape[1], all = (cache?.Length ?? 0) + added;
        var context = ForwardContext.CreateBothWays(targets, null, null, null, dropout);
        Tensor bias = decoderPositions.Bias(added, all);
        if (added > 1)
            bias = bias.Plus(full(added, all, Number(double.NegativeInfinity), ScalarType.Float32, targets.device).triu(
                all - added + 1));
        Tensor hidden = Dropout.Apply(targetTable.Forward(targets, dropout), Shape.Dropout, dropout);
        for (int layer = 0; layer < decoderBlocks.Length; layer++)
        {
            int number = layer;
            (Tensor keys, Tensor values) = source.Blocks[layer];
            hidden = decoderBlocks[layer]
                .Forward(hidden, bias, cache is null ? null : (k, v) => cache.Append(number, k, v),
                (keys, values, source.Bias), context);
        }
        cache?.Advance((int)added);
        return Dropout.Apply(decoderNorm.Forward(hidden), Shape.Dropout, dropout).MoveToOuterDisposeScope();
    }

    /// <summary>Logits of target states, […, hidden] to […, vocabulary size].</summary>
    public Tensor Logits(Tensor states, Generator? dropout = null) =>
        OutputHead.Forward(Shape.OutputScale == 1 ? states : states * Number(Shape.OutputScale), dropout);

    /// <summary>A cache for target positions.</summary>
    internal KeyValueCache NewCache(int batch, int capacity) =>
        new(Shape.DecoderLayers, Shape.Heads, Shape.HeadDimension, batch, capacity, Device);

    // The encoder and the decoder share the embedding table unless the checkpoint has separate ones.
    private Embedding Table(WeightLoader weights, string path) => weights.IsShared(path + ".weight", Shared)
        ? TokenEmbedding
        : new Embedding(weights, path, Shape.VocabularySize, Shape.HiddenSize);

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Tensor weight in parameters.Values) weight.Dispose();
        foreach (PackedWeight weight in packed.Values) weight.Dispose();
        OutputHead.DisposeCopy();
    }
}

/// <summary>What the decoder needs from the source texts: each block's keys and values, and the padding.</summary>
internal sealed class SourceStates : IDisposable
{
    internal SourceStates(IReadOnlyList<(Tensor Keys, Tensor Values)> blocks, Tensor? bias)
    {
        Blocks = blocks;
        Bias = bias;
    }

    /// <summary>A block's keys and values, each [batch, heads, source, dimension].</summary>
    internal IReadOnlyList<(Tensor Keys, Tensor Values)> Blocks { get; }

    /// <summary>Minus infinity on padding, [batch, 1, 1, source]; null without padding.</summary>
    internal Tensor? Bias { get; }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach ((Tensor keys, Tensor values) in Blocks)
        {
            keys.Dispose();
            values.Dispose();
        }
        Bias?.Dispose();
    }
}
