using LowRank.Models.Families;
using LowRank.Models.Layers;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models;

/// <summary>A decoder-only language model of any supported family.</summary>
/// <remarks>Not thread-safe: one thread owns a model (dispose scopes are thread-static).</remarks>
public sealed class Decoder : IDisposable
{
    private readonly Embedding embedding;
    private readonly Embedding? positions;
    private readonly IDecoderBlock[] blocks;
    private readonly INormalization finalNorm;
    private readonly RotaryEmbedding? rope;
    private readonly Dictionary<string, Tensor> parameters;
    private readonly Func<string, string> storedName;

    private Decoder(DecoderFamily family, DecoderShape shape, WeightLoader weights, Device device)
    {
        Family = family;
        Shape = shape;
        Device = device;
        embedding = new Embedding(weights, family.EmbeddingPath, shape.VocabularySize, shape.HiddenSize);
        if (family.PositionEmbeddingPath is { } path) positions = new Embedding(weights, path, shape.MaxPositions, shape.HiddenSize);
        blocks = [.. Enumerable.Range(0, shape.Layers).Select(layer => family.BuildBlock(weights, shape, layer))];
        finalNorm = family.BuildFinalNorm(weights, shape);
        Head = shape.TieHead
            ? Projection.Tied(family.HeadPath, embedding.Weight)
            : Projection.Linear(weights, family.HeadPath, shape.HiddenSize, shape.VocabularySize, bias: false);
        weights.Finish(name => family.IsIgnorable(name) || (shape.TieHead && name == family.HeadPath + ".weight"));
        parameters = new Dictionary<string, Tensor>(weights.Parameters);
        storedName = weights.StoredName;
        if (shape.Rope is { } settings) rope = new RotaryEmbedding(settings, device);
    }

    /// <summary>The family the model belongs to.</summary>
    public DecoderFamily Family { get; }

    /// <summary>The model's sizes.</summary>
    public DecoderShape Shape { get; }

    /// <summary>Where the model computes.</summary>
    public Device Device { get; }

    /// <summary>The token embedding.</summary>
    public Embedding TokenEmbedding => embedding;

    /// <summary>The output head; with tied weights it computes with the embedding's weight.</summary>
    public Projection Head { get; }

    /// <summary>Every linear layer below the head, in the order of the model.</summary>
    public IEnumerable<Projection> Projections => blocks.SelectMany(block => block.Projections);

    /// <summary>Every weight by its checkpoint name, in the order of the model; a tied head does not appear twice.</summary>
    public IReadOnlyDictionary<string, Tensor> Parameters => parameters;

    /// <summary>The number of weights.</summary>
    public long ParameterCount => parameters.Values.Sum(weight => weight.numel());

    /// <summary>The name under which the checkpoint stores a weight: without the transformer's prefix where the checkpoint
    /// holds the bare transformer.</summary>
    public string StoredName(string parameter) => storedName(parameter);

    /// <summary>Builds a model.</summary>
    /// <param name="config">The model's <c>config.json</c>.</param>
    /// <param name="source">Its weights.</param>
    /// <param name="device">Where it computes.</param>
    /// <param name="trainable">True gives every weight its own memory so that training may change it in place; false
    /// keeps float32 weights mapped from the file.</param>
    /// <exception cref="InputException">The config asks for something unsupported, or weights are missing, unexpected or
    /// mis-shaped: all problems at once.</exception>
    public static Decoder Build(ConfigReader config, IWeightSource source, Device device, bool trainable = false)
    {
        DecoderFamily family = FamilyRegistry.Get(config.ModelType);
        if (config.Has("quantization_config"))
            config.Reject("quantization_config", "present", "weights in float32, float16 or bfloat16");
        DecoderShape shape = family.Read(config);
        config.ThrowIfInvalid();
        using var scope = NewDisposeScope();
        return new Decoder(family, shape, new WeightLoader(source, device, trainable, family.BasePrefix), device);
    }

    /// <summary>Logits of every position.</summary>
    /// <param name="tokens">Token ids, [batch, sequence], whole numbers in [0, vocabulary size).</param>
    /// <param name="attentionMask">1 for tokens and 0 for padding on either side, [batch, sequence]; null for none.</param>
    /// <param name="cache">Earlier positions; the new ones are added to it.</param>
    /// <exception cref="InputException">The model has learned positions, and the sequence is longer than they are.</exception>
    /// <exception cref="InvalidOperationException">The cache has no room for the new positions.</exception>
    /// <returns>[batch, sequence, vocabulary size]; the caller owns it.</returns>
    public Tensor Forward(Tensor tokens, Tensor? attentionMask = null, KeyValueCache? cache = null)
    {
        using var scope = NewDisposeScope();
        Tensor hidden = Hidden(tokens, attentionMask, cache);
        return Head.Forward(hidden, null).MoveToOuterDisposeScope();
    }

    /// <summary>The normalised state below the output head.</summary>
    /// <param name="tokens">[batch, sequence]</param>
    /// <param name="attentionMask">As in <see cref="Forward"/>.</param>
    /// <param name="cache">As in <see cref="Forward"/>.</param>
    /// <param name="dropout">The generator for dropout while training; null in evaluation.</param>
    /// <returns>[batch, sequence, hidden]; the caller owns it.</returns>
    public Tensor Hidden(Tensor tokens, Tensor? attentionMask = null, KeyValueCache? cache = null, Generator? dropout = null)
    {
        using var scope = NewDisposeScope();
        CheckLength((cache?.Length ?? 0) + tokens.shape[1]);
        cache?.RequireRoom(tokens.shape[1]);
        var context = ForwardContext.Create(tokens, attentionMask, rope, cache, dropout);
        Tensor hidden = embedding.Forward(tokens);
        if (positions is not null) hidden = hidden + positions.Forward(context.Positions);
        hidden = Dropout.Apply(hidden, Shape.EmbeddingDropout, dropout);
        foreach (IDecoderBlock block in blocks) hidden = block.Forward(hidden, context);
        cache?.Advance((int)tokens.shape[1]);
        return finalNorm.Forward(hidden).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Tensor weight in parameters.Values) weight.Dispose();
        rope?.Dispose();
    }

    private void CheckLength(long length)
    {
        if (positions is not null && length > Shape.MaxPositions)
            throw new InputException($"The sequence has {length} tokens; this model has learned positions for {Shape.MaxPositions} at most. " +
                "Shorten the prompt, or lower max_length or max_new_tokens.");
    }
}
