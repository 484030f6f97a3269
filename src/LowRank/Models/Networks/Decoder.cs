using LowRank.Kernels;
using LowRank.Models.Layers;
using LowRank.Quantization;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models;

/// <summary>A decoder-only language model of any supported family.</summary>
/// <remarks>Not thread-safe: one thread owns a model (dispose scopes are thread-static).</remarks>
public sealed class Decoder : ISequenceNetwork
{
    private readonly Embedding embedding;
    private readonly Embedding? positions;
    private readonly INormalization? embeddingNorm;
    private readonly IBlock[] blocks;
    private readonly INormalization? finalNorm;
    private readonly Linear? inputLinear;
    private readonly Linear? outputLinear;
    private readonly RotaryEmbedding? rope;
    private readonly RotaryEmbedding? localRope;
    private readonly Dictionary<string, Tensor> parameters;
    private readonly Dictionary<string, PackedWeight> packed;
    private readonly Func<string, string> storedName;

    private Decoder(DecoderFamily family, DecoderShape shape, WeightLoader weights, Device device, HeadRequest head)
    {
        Family = family;
        Shape = shape;
        Device = device;
        int width = shape.EmbeddingSize ?? shape.HiddenSize;
        string table = family.EmbeddingPath + ".weight", output = family.HeadPath + ".weight";
        if (shape.TieHead && head.Kind == HeadKind.LanguageModel) weights.DeclareShared(table, output);
        embedding = new Embedding(weights, family.EmbeddingPath, shape.VocabularySize, width);
        if (family.PositionEmbeddingPath is { } path)
            positions = new Embedding(weights, path, shape.MaxPositions + shape.PositionOffset, shape.HiddenSize);
        if (shape.EmbeddingSize is not null)
        {
            outputLinear =
                Linear.Load(weights, family.OutputLinearPath, shape.HiddenSize, width, bias: false);
            inputLinear =
                Linear.Load(weights, family.InputLinearPath, width, shape.HiddenSize, bias: false);
        }
        embeddingNorm = family.BuildEmbeddingNorm(weights, shape);
        blocks = [.. Enumerable.Range(0, shape.Layers).Select(layer => family.BuildBlock(weights, shape, layer))];
        finalNorm = family.BuildFinalNorm(weights, shape);
        HeadKind = head.Kind;
        Head = BuildHead(weights, head, width, tiesHead: shape.TieHead && weights.IsShared(output, table));
        weights.Finish(name => family.IsIgnorable(name) || IsOfAnotherHead(name));
        parameters = new Dictionary<string, Tensor>(weights.Parameters);
        packed = new Dictionary<string, PackedWeight>(weights.PackedWeights);
        CreatedWeights = weights.Created;
        DuplicateWeights = weights.Duplicates;
        storedName = weights.StoredName;
        if (shape.Rope is { } settings) rope = new RotaryEmbedding(settings, device);
        if (shape.LocalRope is { } local) localRope = new RotaryEmbedding(local, device);
    }

    /// <summary>The family the model belongs to.</summary>
    public DecoderFamily Family { get; }

    IModelFamily INetwork.Family => Family;

    /// <summary>The model's sizes.</summary>
    public DecoderShape Shape { get; }

    /// <summary>The device that the model computes on.</summary>
    public Device Device { get; }

    /// <summary>The token embedding.</summary>
    public Embedding TokenEmbedding => embedding;

    /// <inheritdoc/>
    public HeadKind HeadKind { get; }

    /// <inheritdoc/>
    public Head? Head { get; }

    /// <inheritdoc/>
    public Pooling Pooling => Pooling.Last;

    /// <summary>The prompt before every text (prompt and prefix tuning); null for none.</summary>
    internal IPrompt? Prompt { get; set; }

    /// <inheritdoc/>
    public Linear? OutputHead => HeadKind == HeadKind.LanguageModel ? Head!.Output : null;

    /// <inheritdoc/>
    public int VocabularySize => Shape.VocabularySize;

    /// <inheritdoc/>
    public int MaxPositions => Shape.MaxPositions;

    /// <inheritdoc/>
    public bool GradientCheckpointing { get; set; }

    /// <inheritdoc/>
    public IReadOnlyCollection<string> CreatedWeights { get; }

    /// <inheritdoc/>
    public IReadOnlyCollection<string> DuplicateWeights { get; }

    /// <inheritdoc/>
    public IEnumerable<Linear> LinearLayers =>
    [
        .. outputLinear is null ? [] : new[] { outputLinear, inputLinear! },
        .. blocks.SelectMany(block => block.LinearLayers),
        .. HeadKind is HeadKind.LanguageModel or HeadKind.None ? [] : Head!.Layers,
    ];

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, Tensor> Parameters => parameters;

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, PackedWeight> PackedWeights => packed;

    /// <inheritdoc/>
    public ISet<string> ReplacedWeights { get; } = new HashSet<string>();

    /// <inheritdoc/>
    public string StoredName(string parameter) => storedName(parameter);

    /// <summary>Builds a model.</summary>
    /// <param name="family">The model's family.</param>
    /// <param name="config">The model's <c>config.json</c>.</param>
    /// <param name="source">The model's weights.</param>
    /// <param name="device">The device to compute on.</param>
    /// <param name="trainable">True gives every weight its own memory so that training can change it in place; false
    /// keeps float32 weights mapped from the file.</param>
    /// <param name="head">The head on top of the model's states.</param>
    /// <exception cref="InputException">The config asks for something unsupported, or weights are missing, unexpected
    /// or have the wrong shape; the message lists all problems.</exception>
    internal static Decoder Build(
        DecoderFamily family, ConfigReader config, IWeightSource source, Device device, bool trainable,
        HeadRequest head)
    {
        DecoderShape shape = family.Read(config) with
        {
            ClassifierDropout = config.ShareOr("classifier_dropout", config.ShareOr("hidden_dropout", 0.1)),
        };
        // Like transformers: windows to both sides include the token at the far end.
        if (!config.FlagOr("is_causal", true))
            shape = shape with { AttendsBothWays = true, Windows = [.. shape.Windows.Select(window => window + 1)] };
        config.ThrowIfInvalid();
        using var scope = NewDisposeScope();
        return new Decoder(
            family, shape, new WeightLoader(source, device, trainable, family.BasePrefix, head.Seed, head.Renewal),
            device, head);
    }

    /// <summary>Logits of every position.</summary>
    /// <param name="tokens">Token ids, [batch, sequence], integers in [0, vocabulary size).</param>
    /// <param name="attentionMask">1 for tokens and 0 for padding on either side, [batch, sequence]; null for
    /// none.</param>
    /// <exception cref="InputException">The sequence is longer than the model's table of learned positions.</exception>
    /// <returns>[batch, sequence, vocabulary size]; the caller owns it.</returns>
    public Tensor Forward(Tensor tokens, Tensor? attentionMask = null) => Forward(tokens, attentionMask, null);

    /// <summary>As <see cref="Forward(Tensor, Tensor?)"/>, after the positions in a cache.</summary>
    /// <param name="tokens">[batch, new]</param>
    /// <param name="attentionMask">Of the new tokens, [batch, new]; null for none.</param>
    /// <param name="cache">Earlier positions; the new ones are appended.</param>
    /// <exception cref="InvalidOperationException">The cache has no room for the new positions.</exception>
    internal Tensor Forward(Tensor tokens, Tensor? attentionMask, KeyValueCache? cache)
    {
        using var scope = NewDisposeScope();
        Tensor hidden = Hidden(tokens, attentionMask, cache);
        return Logits(hidden).MoveToOuterDisposeScope();
    }

    /// <summary>Logits of states below the output head.</summary>
    /// <param name="hidden">[…, hidden], as returned by <see cref="States"/>.</param>
    /// <param name="dropout">The generator for dropout while training; null in evaluation.</param>
    /// <returns>[…, vocabulary size]</returns>
    public Tensor Logits(Tensor hidden, Generator? dropout = null)
    {
        if (HeadKind != HeadKind.LanguageModel)
            throw new InvalidOperationException(
                $"The model was opened with the head {HeadKind}; logits of the vocabulary need " +
                $"{HeadKind.LanguageModel}.");
        return Head!.Forward(hidden, dropout);
    }

    /// <inheritdoc/>
    public Tensor States(ModelInput input, Generator? dropout = null) =>
        Hidden(input.Tokens, input.AttentionMask, null, dropout);

    /// <summary>The normalised states below the output head.</summary>
    /// <param name="tokens">[batch, sequence]</param>
    /// <param name="attentionMask">As in <see cref="Forward(Tensor, Tensor?)"/>.</param>
    /// <param name="cache">As in <see cref="Forward(Tensor, Tensor?, KeyValueCache?)"/>.</param>
    /// <param name="dropout">The generator for dropout while training; null in evaluation.</param>
    /// <param name="packed">The layout of several texts packed into one sequence, [1, sequence], without mask and
    /// cache; null if each row is one text.</param>
    /// <param name="kept">The cache whose prompt packed texts continue; null for none.</param>
    /// <param name="placed">Called with each layer's index, keys and values of packed texts; null for none.</param>
    /// <returns>[batch, sequence, hidden]; the caller owns it.</returns>
    internal Tensor Hidden(Tensor tokens, Tensor? attentionMask = null, KeyValueCache? cache = null,
        Generator? dropout = null, PackedSequences? packed = null, KeyValueCache? kept = null,
        Action<int, Tensor, Tensor>? placed = null)
    {
        using var scope = NewDisposeScope();
        if (packed is not null && (attentionMask ?? (object?)cache) is not null)
            throw new ArgumentException("Packed texts take no mask and no cache.", nameof(packed));
        if (GradientCheckpointing && Prompt is not null && is_grad_enabled())
            throw new InputException(
                $"{KnownSettings.Checkpointing} does not go with prompt and prefix tuning: every layer reads the " +
                $"prompt's states, which would be computed again with each. Remove one of them.");
        CheckLength((Prompt?.Length ?? 0) + (cache?.Length ?? 0) + (packed?.Longest ?? tokens.shape[1]));
        cache?.RequireRoom(tokens.shape[1]);
        if (Shape.AttendsBothWays && (packed ?? cache ?? (object?)Prompt) is not null) throw NotCausal();
        ForwardContext context = Shape.AttendsBothWays
            ? ForwardContext.CreateBothWays(tokens, attentionMask, rope, localRope, dropout)
            : packed is not null
            ? ForwardContext.CreatePacked(packed, rope, localRope, dropout, PromptStates(kept, dropout), placed)
            : ForwardContext.Create(
                tokens, attentionMask, rope, localRope, cache, dropout, PromptStates(cache, dropout));
        Tensor hidden = Through(
            tokens, context, positions is null ? null : PositionRows(context, attentionMask, cache), dropout);
        cache?.Advance((int)tokens.shape[1]);
        return hidden.MoveToOuterDisposeScope();
    }

    /// <summary>The normalised states below the output head of tokens of several sequences, whose keys and values are
    /// in pages. On a processor a token's states are the same to the last bit, whatever tokens are beside it and in
    /// however many passes its sequence is computed.</summary>
    /// <param name="tokens">The tokens; with adapters by row, each is a row.</param>
    /// <param name="pages">The pages of their sequences, which receive the tokens' keys and values.</param>
    /// <returns>[tokens, hidden]; the caller owns it.</returns>
    /// <exception cref="InputException">A sequence is too long, or tokens of this model see later ones.</exception>
    /// <exception cref="InvalidOperationException">There is a prompt of an adapter; pages hold none.</exception>
    internal Tensor Hidden(PagedTokens tokens, KeyValuePages pages)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        RequireCausal();
        if (Prompt is not null)
            throw new InvalidOperationException("A prompt of an adapter comes before every text; pages hold none.");
        CheckLength(tokens.Longest);
        if (tokens.Longest > LongestIndependentLength)
            throw new InputException(
                $"The sequence has {tokens.Longest} tokens; beyond {LongestIndependentLength} this model's rotary " +
                "positions depend on the length of the text. Shorten it.");
        var context = ForwardContext.CreatePaged(tokens, pages, Device, rope, localRope);
        Tensor ids = tensor(tokens.Ids(), device: Device).unsqueeze(1); // [tokens, 1]
        Tensor? rows = positions is null ? null : context.Positions.Plus(Shape.PositionOffset);
        return Through(ids, context, rows, null).squeeze(1).MoveToOuterDisposeScope();
    }

    /// <summary>An empty pool of pages for this model's keys and values.</summary>
    /// <param name="most">The largest number of pages in use.</param>
    internal KeyValuePages NewPages(int most) =>
        new(Shape.Layers, Shape.KeyValueHeads, Shape.KeyDimension, most, Device);

    /// <summary>Number of tokens up to which a text's states do not depend on its length: dynamic rotary scaling and
    /// LongRoPE rotate all positions of a longer text differently.</summary>
    internal int LongestIndependentLength => (int)Math.Min(
        RotaryEmbedding.FreeLength(Shape.Rope), RotaryEmbedding.FreeLength(Shape.LocalRope));

    // Embeds tokens and passes them through the blocks; the position rows are those of learned positions.
    private Tensor Through(Tensor tokens, ForwardContext context, Tensor? positionRows, Generator? dropout)
    {
        Tensor hidden = embedding.Forward(tokens, dropout);
        if (Shape.EmbeddingScale != 1) hidden = hidden * Number(Shape.EmbeddingScale);
        if (inputLinear is not null) hidden = inputLinear.Forward(hidden, dropout);
        if (positions is not null) hidden = hidden.Plus(positions.Forward(positionRows!));
        if (embeddingNorm is not null) hidden = embeddingNorm.Forward(hidden);
        hidden = Dropout.Apply(hidden, Shape.EmbeddingDropout, dropout);
        hidden = BlockPass.Run(blocks, hidden, context, GradientCheckpointing);
        if (finalNorm is not null) hidden = finalNorm.Forward(hidden);
        return outputLinear is null ? hidden : outputLinear.Forward(hidden, dropout);
    }

    /// <summary>The states of the last token of each of several texts, whose keys and values fill an empty cache. A
    /// text's states depend on no other text: the texts are packed, not padded.</summary>
    /// <param name="texts">Token ids, at least one each, a text per row of the cache.</param>
    /// <param name="cache">The cache; shorter texts begin later.</param>
    /// <returns>[texts, hidden]; the caller owns it.</returns>
    internal Tensor Prefill(IReadOnlyList<int[]> texts, KeyValueCache cache)
    {
        using var scope = NewDisposeScope();
        cache.BeginTexts([.. texts.Select(text => text.Length)]);
        int longest = texts.Max(text => text.Length);
        Tensor Last(IReadOnlyList<int> rows)
        {
            int[] lengths = [.. rows.Select(row => texts[row].Length)];
            Tensor tokens = tensor(rows.SelectMany(row => texts[row]).Select(id => (long)id).ToArray(), device: Device),
                positions = tensor(lengths.SelectMany(length => Enumerable.Range(0, length))
                .Select(position => (long)position).ToArray(), device: Device);
            var packed = new PackedSequences(
                positions.unsqueeze(0), [.. lengths.Select(length => new PackedSegment(length, 1, []))], lengths.Max());
            (int, int)[] places = [.. rows.Zip(lengths)];
            Tensor hidden = Hidden(tokens.unsqueeze(0), packed: packed, kept: cache,
                placed: (layer, key, value) => cache.Place(layer, key, value, places, longest));
            long end = -1;
            return hidden[0].index_select(
                0, tensor(lengths.Select(length => end += length).ToArray(), device: Device));
        }
        Tensor last = IsComputedByRow
            ? cat([.. Enumerable.Range(0, texts.Count).Select(row => ByRow(row, () => Last([row])))])
            : Last([.. Enumerable.Range(0, texts.Count)]);
        cache.Advance(longest);
        return last.MoveToOuterDisposeScope();
    }

    private Tensor ByRow(int row, Func<Tensor> compute)
    {
        using IDisposable? only = TokenEmbedding.Slot.Rows?.Select([row]);
        return compute();
    }

    // libtorch's products in bfloat16 may depend on the number of rows, and adapters by row on which row it is.
    private bool IsComputedByRow =>
        TokenEmbedding.Slot.Rows is not null || packed.Values.Any(weight => weight.ComputesInHalves);

    /// <summary>The keys and values that each layer computes for vectors in place of embedded tokens.</summary>
    /// <param name="vectors">[positions, embedding width], like the embedding's output.</param>
    /// <param name="dropout">The generator for dropout while training; null in evaluation.</param>
    /// <returns>[1, key-value heads, positions, head dimension] for each layer, in the caller's dispose
    /// scope.</returns>
    public IReadOnlyList<(Tensor Keys, Tensor Values)> EncodePrompt(Tensor vectors, Generator? dropout = null)
    {
        if (Shape.AttendsBothWays) throw NotCausal();
        var collected = new List<(Tensor Keys, Tensor Values)>();
        var context = ForwardContext.CreatePrompt((int)vectors.shape[0], Device, rope, localRope, dropout, collected);
        Tensor hidden = vectors.unsqueeze(0);
        if (Shape.ScalesPrompt) hidden = hidden * Number(Shape.EmbeddingScale);
        if (inputLinear is not null) hidden = inputLinear.Forward(hidden, dropout);
        if (positions is not null)
            hidden = hidden.Plus(positions.Forward(context.Positions.Plus(Shape.PositionOffset)));
        if (embeddingNorm is not null) hidden = embeddingNorm.Forward(hidden);
        hidden = Dropout.Apply(hidden, Shape.EmbeddingDropout, dropout);
        foreach (IBlock block in blocks) hidden = block.Forward(hidden, context);
        return collected;
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

    private Head? BuildHead(WeightLoader weights, HeadRequest head, int width, bool tiesHead)
    {
        Linear output;
        switch (head.Kind)
        {
            case HeadKind.LanguageModel:
                Tensor? bias = Shape.HeadBias ? weights.Take(Family.HeadPath + ".bias", Shape.VocabularySize) : null;
                output = tiesHead
                    ? Linear.Tied(weights, Family.HeadPath, embedding, bias)
                    : Linear.OutputHead(weights, Family.HeadPath, width, Shape.VocabularySize, bias);
                return new Head(head.Kind, [output], (states, dropout) =>
                {
                    Tensor logits = output.Forward(states, dropout);
                    if (Shape.LogitScale != 1) logits = logits * Number(Shape.LogitScale);
                    return Shape.LogitSoftcap is { } cap ? (logits / Number(cap)).tanh() * Number(cap) : logits;
                });
            case HeadKind.SequenceClassification:
                output = Linear.LoadOrInitialize(
                    weights, "score", width, head.Labels, bias: false, Shape.InitializerRange);
                return new Head(head.Kind, [output], output.Forward);
            case HeadKind.TokenClassification:
                output = Linear.LoadOrInitialize(
                    weights, Family.TokenClassifierPath, width, head.Labels, bias: true, Shape.InitializerRange);
                return new Head(head.Kind, [output], (states, dropout) =>
                    output.Forward(Dropout.Apply(states, Shape.ClassifierDropout, dropout), dropout));
            default:
                return null;
        }
    }

    // The checkpoint of a language model opened as a classifier still has its output head, and vice versa.
    private bool IsOfAnotherHead(string name)
    {
        if (name == Family.HeadPath + ".weight" || (Shape.HeadBias && name == Family.HeadPath + ".bias"))
            return HeadKind != HeadKind.LanguageModel;
        return (name.StartsWith("score.", StringComparison.Ordinal)
            || name.StartsWith("classifier.", StringComparison.Ordinal))
            && HeadKind is HeadKind.LanguageModel or HeadKind.None;
    }

    // With a cache the prompt is computed once; without one, in each pass.
    private IReadOnlyList<(Tensor Keys, Tensor Values)>? PromptStates(KeyValueCache? cache, Generator? dropout)
    {
        if (Prompt is null) return null;
        if (cache is null) return States();
        if (cache.Prompt is null) cache.RememberPrompt(States());
        return cache.Prompt;

        // Keys that prefix tuning trains know no positions.
        IReadOnlyList<(Tensor Keys, Tensor Values)> States()
        {
            IReadOnlyList<(Tensor Keys, Tensor Values)> states = Prompt.States(this, dropout);
            if (Shape.Alibi is not { } alibi || states[0].Keys.shape[3] != Shape.HeadDimension) return states;
            Tensor biases = alibi.Biases(Indices(0, states[0].Keys.shape[2], device: Device).unsqueeze(0));
            return [.. states.Select(layer => Alibi.WithBiases(layer.Keys, layer.Values, biases))];
        }
    }

    // If the table has rows before position 0 (OPT), padding takes the last of them, and the mask determines the
    // positions of tokens.
    private Tensor PositionRows(ForwardContext context, Tensor? attentionMask, KeyValueCache? cache)
    {
        if (Shape.PositionOffset == 0) return context.Positions;
        if (attentionMask is null || cache?.Length > 0) return context.Positions.Plus(Shape.PositionOffset);
        Tensor mask = (attentionMask != Number(0)).to(ScalarType.Int64);
        return (mask.cumsum(1).Plus(Prompt?.Length ?? 0) * mask).Plus(Shape.PositionOffset - 1);
    }

    /// <summary>Rejects a model whose tokens see later tokens.</summary>
    /// <exception cref="InputException">They do see later tokens.</exception>
    public void RequireCausal()
    {
        if (Shape.AttendsBothWays) throw NotCausal();
    }

    private InputException NotCausal() =>
        new($"In this {Family.ModelType} model every token sees those after it (config.json: " +
        $"{string.Join(" or ", Family.BothWaysKeys)}), so it cannot continue texts or learn to, and takes no prompt " +
        "of an adapter. Use it for embeddings or classification.");

    private void CheckLength(long length)
    {
        if (positions is not null && length > Shape.MaxPositions)
            throw new InputException(
                $"The sequence has {length} tokens; this model has learned positions for {Shape.MaxPositions} at " +
                $"most. Shorten the prompt, or lower {KnownSettings.MaxLength} or {KnownSettings.MaxNewTokens}.");
    }
}
