using LowRank.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>What all layers of one forward pass share: positions, masks, the cache, the dropout generator.</summary>
public sealed class ForwardContext : IDisposable
{
    // [batch or 1, 1, new, all] of truth values, without windows; null: plain causal
    private readonly Func<Tensor>? allowed;
    private readonly Dictionary<int, Tensor?> masks = [];
    private readonly Tensor queryIndex;    // [new, 1]
    private readonly Device device;
    private readonly int past;
    private readonly int added;
    private readonly bool bothWays;
    private AttentionSequences? texts;
    private readonly int prompt; // positions of a prompt adapter, which every token sees; counted in past

    private ForwardContext(int past, int added, Device device, bool bothWays = false, int prompt = 0)
    {
        this.bothWays = bothWays;
        this.prompt = prompt;
        this.past = past;
        this.added = added;
        this.device = device;
        queryIndex = arange(past, past + added, ScalarType.Int64, device).unsqueeze(1);
    }

    private ForwardContext(ForwardContext indexed, Func<Tensor>? allowed)
        : this(indexed.past, indexed.added, indexed.device, indexed.bothWays, indexed.prompt) =>
        this.allowed = allowed;

    /// <summary>Positions of the new tokens, [batch or 1, new]; each row counts from its first token that is not
    /// padding.</summary>
    public Tensor Positions { get; private init; } = null!;

    private (Tensor Cosine, Tensor Sine)? Turn { get; init; }

    private (Tensor Cosine, Tensor Sine)? LocalTurn { get; init; }

    private Tensor KeyIndex => arange(0, past + added, ScalarType.Int64, device).unsqueeze(0); // [1, all]

    /// <summary>The cache, when tokens are generated.</summary>
    public KeyValueCache? Cache { get; private init; }

    /// <summary>The cache, when this pass is one step of generation that needs no mask but the padding on the left of
    /// each row.</summary>
    internal KeyValueCache? StepCache => added == 1 && Prompt is null && Cache is { PaddingIsLeft: true }
        ? Cache : null;

    /// <summary>Keys and values before the text, [1, heads, prompt, dimension] for each layer; null for none.</summary>
    private IReadOnlyList<(Tensor Keys, Tensor Values)>? Prompt { get; init; }

    /// <summary>How texts lie one after the other, when there are several in a sequence; null otherwise.</summary>
    internal PackedSequences? Documents { get; private init; }

    /// <summary>The masks of packed texts, which all layers share: by queries, keys and window.</summary>
    internal Dictionary<(long Queries, long Keys, int? Window), Tensor?> DocumentMasks { get; } = [];

    /// <summary>Receives every layer's keys and values, when a prompt is computed; null otherwise.</summary>
    private IList<(Tensor Keys, Tensor Values)>? Collected { get; init; }

    /// <summary>The generator for dropout while training; null in evaluation.</summary>
    public Generator? Dropout { get; private init; }

    /// <summary>Whether someone reads what a block computes: not where it is computed again for its gradients
    /// (<see cref="BlockCheckpoint"/>).</summary>
    internal bool IsOutputRead { get; set; } = true;

    /// <summary>Prepares a pass.</summary>
    /// <param name="tokens">[batch, new]</param>
    /// <param name="attentionMask">1 for tokens and 0 for padding, [batch, new]; null when there is no padding.</param>
    /// <param name="rope">Rotary positions; null for learned ones.</param>
    /// <param name="localRope">Those of layers that attend in a window, where they differ.</param>
    /// <param name="cache">Holds earlier positions; its padding is remembered from the prompt.</param>
    /// <param name="dropout">The generator for dropout while training.</param>
    /// <param name="prompt">Keys and values of positions before the text, [1, heads, prompt, dimension] for each layer;
    /// null for none.</param>
    public static ForwardContext Create(
        Tensor tokens, Tensor? attentionMask, RotaryEmbedding? rope, RotaryEmbedding? localRope,
        KeyValueCache? cache, Generator? dropout, IReadOnlyList<(Tensor Keys, Tensor Values)>? prompt = null)
    {
        int past = cache?.Length ?? 0, added = (int)tokens.shape[1], before = (int)(prompt?[0].Keys.shape[2] ?? 0);
        var indexed = new ForwardContext(before + past, added, tokens.device, prompt: before);
        (Tensor? left, Func<Tensor>? keyMask) = Padding(attentionMask, cache, past, added);
        Tensor positions = indexed.queryIndex.view(1, added);
        if (left is not null) positions = (positions - left.unsqueeze(1)).clamp_min(before);
        past += before;
        return new ForwardContext(indexed, keyMask is null ? null : () => indexed.Allowed(keyMask(), left!))
        {
            Positions = positions,
            Turn = rope?.At(positions, past + added),
            LocalTurn = localRope?.At(positions, past + added),
            Cache = cache,
            Prompt = prompt,
            Dropout = dropout,
        };
    }

    /// <summary>Prepares a pass over texts that lie one after the other.</summary>
    /// <param name="documents">How they lie.</param>
    /// <param name="rope">Rotary positions; null for learned ones.</param>
    /// <param name="localRope">Those of layers that attend in a window, where they differ.</param>
    /// <param name="dropout">The generator for dropout while training.</param>
    /// <param name="prompt">As of <see cref="Create"/>: before each of the texts.</param>
    public static ForwardContext CreatePacked(
        PackedSequences documents, RotaryEmbedding? rope, RotaryEmbedding? localRope, Generator? dropout,
        IReadOnlyList<(Tensor Keys, Tensor Values)>? prompt)
    {
        int before = (int)(prompt?[0].Keys.shape[2] ?? 0), longest = before + documents.Longest;
        Tensor positions = before == 0 ? documents.Positions : documents.Positions + before;
        return new ForwardContext(before, (int)positions.shape[1], positions.device, prompt: before)
        {
            Positions = positions,
            Documents = documents,
            Turn = rope?.At(positions, longest),
            LocalTurn = localRope?.At(positions, longest),
            Prompt = prompt,
            Dropout = dropout,
        };
    }

    /// <summary>Prepares the pass of a prompt that stands before every text, alone.</summary>
    /// <param name="length">Its positions.</param>
    /// <param name="device">Where the model computes.</param>
    /// <param name="rope">Rotary positions; null for learned ones.</param>
    /// <param name="localRope">Those of layers that attend in a window, where they differ.</param>
    /// <param name="dropout">The generator for dropout while training.</param>
    /// <param name="collected">Receives the keys and values of each layer in turn.</param>
    public static ForwardContext CreatePrompt(
        int length, Device device, RotaryEmbedding? rope, RotaryEmbedding? localRope, Generator? dropout,
        IList<(Tensor Keys, Tensor Values)> collected)
    {
        var indexed = new ForwardContext(0, length, device);
        Tensor positions = indexed.queryIndex.view(1, length);
        return new ForwardContext(indexed, null)
        {
            Positions = positions,
            Turn = rope?.At(positions, length),
            LocalTurn = localRope?.At(positions, length),
            Dropout = dropout,
            Collected = collected,
        };
    }

    /// <summary>Prepares a pass in which every token sees every other, as an encoder's.</summary>
    /// <param name="tokens">[batch, sequence]</param>
    /// <param name="attentionMask">1 for tokens and 0 for padding, [batch, sequence]; null when there is no
    /// padding.</param>
    /// <param name="rope">Rotary positions; null for others.</param>
    /// <param name="localRope">Those of layers that attend in a window, where they differ.</param>
    /// <param name="dropout">The generator for dropout while training.</param>
    public static ForwardContext CreateBothWays(
        Tensor tokens, Tensor? attentionMask, RotaryEmbedding? rope, RotaryEmbedding? localRope, Generator? dropout)
    {
        int length = (int)tokens.shape[1];
        var indexed = new ForwardContext(0, length, tokens.device, bothWays: true);
        Tensor positions = indexed.queryIndex.view(1, length);
        Tensor? mask = attentionMask is null ? null : attentionMask != 0;
        if (mask is not null && mask.all().item<bool>()) mask = null;
        Tensor? visible = mask?.unsqueeze(1).unsqueeze(1); // [batch, 1, 1, all]
        return new ForwardContext(indexed, visible is null ? null : () => visible)
        {
            Positions = positions,
            Turn = rope?.At(positions, length),
            LocalTurn = localRope?.At(positions, length),
            Dropout = dropout,
        };
    }

    /// <summary>Turns heads, [batch, heads, new, dimension], by their positions; with learned positions they
    /// stay.</summary>
    public Tensor Rotate(Tensor heads, bool local) =>
        (local ? LocalTurn : Turn) is { } turn ? RotaryEmbedding.Rotate(heads, turn.Cosine, turn.Sine) : heads;

    /// <summary>Whether heads go from their projection to attention as they are: not turned, not kept, with nothing
    /// before them.</summary>
    internal bool IsPlain(AttentionSettings settings) =>
        !HasPadding && Cache is null && Prompt is null && Collected is null
        && (settings.UsesLocalRope ? LocalTurn : Turn) is null;

    /// <summary>Whether some tokens are padding, which is not seen.</summary>
    internal bool HasPadding => allowed is not null;

    /// <summary>Whether tokens see those after them.</summary>
    internal bool AttendsBothWays => bothWays;

    /// <summary>What attends to what when rows are alike, the same for all layers.</summary>
    internal AttentionSequences Texts(long rows, long queries, long keys) =>
        texts ??= AttentionSequences.OfRows((int)rows, (int)queries, (int)keys);

    /// <summary>All keys and values that a layer attends to, given those of its new positions, [batch, heads, new,
    /// dimension].</summary>
    public (Tensor Keys, Tensor Values) Seen(int layer, Tensor key, Tensor value)
    {
        Collected?.Add((key, value));
        if (Cache is not null) (key, value) = Cache.Append(layer, key, value);
        if (Prompt is null) return (key, value);
        Tensor Before(Tensor states) => states.expand(key.shape[0], -1, -1, -1);
        return (cat([Before(Prompt[layer].Keys), key], 2), cat([Before(Prompt[layer].Values), value], 2));
    }

    /// <summary>Keys and values of a layer before the text, [1, heads, prompt, dimension]; null for none.</summary>
    internal (Tensor Keys, Tensor Values)? PromptOf(int layer) => Prompt?[layer];

    /// <summary>Whether a layer without a mask attends causally (several tokens) or to everything (one
    /// token).</summary>
    public bool IsCausal => !bothWays && added > 1;

    /// <summary>The additive mask for a layer, [batch or 1, 1, new, all]; null when plain causal attention is
    /// meant.</summary>
    /// <param name="window">How many positions back the layer attends including its own (in an encoder, to either
    /// side); null for all.</param>
    public Tensor? Mask(int? window)
    {
        bool windowed = window is { } w && w < past + added;
        if (bothWays && allowed is null && !windowed) return null;
        if (allowed is null && !windowed && (past == 0 || added == 1)) return null;
        int key = windowed ? window!.Value : 0;
        if (!masks.TryGetValue(key, out Tensor? mask))
            masks[key] = mask = Share(() => Additive(windowed ? window : null));
        return mask;
    }

    /// <summary>Lets what blocks read of the pass live until it is disposed of: they are computed again in the backward
    /// pass.</summary>
    internal void OutliveScope()
    {
        foreach (Tensor tensor in Read) tensor.DetachFromDisposeScope();
    }

    /// <summary>Frees what blocks read of the pass, where no dispose scope does.</summary>
    public void Dispose()
    {
        foreach (Tensor tensor in Read) tensor.Dispose();
    }

    private IEnumerable<Tensor> Read =>
        new[] { Turn, LocalTurn }.OfType<(Tensor Cosine, Tensor Sine)>()
        .SelectMany(turn => new[] { turn.Cosine, turn.Sine })
        .Concat(masks.Values.Concat(DocumentMasks.Values).OfType<Tensor>());

    /// <summary>Makes a tensor that lives as long as the pass, when a block needs what later ones use as
    /// well.</summary>
    internal Tensor Share(Func<Tensor> make)
    {
        using var scope = NewDisposeScope(); // TorchSharp loses a tensor that is moved to the scope where it is
        return make().MoveToOtherDisposeScope(queryIndex);
    }

    private static (Tensor? Left, Func<Tensor>? KeyMask) Padding(
        Tensor? attentionMask, KeyValueCache? cache, int past, int added)
    {
        if (cache is not null && past > 0)
        {
            if (cache.KeyMask is not { } known) return (null, null);
            return (cache.LeftPadding,
                () => cat(
                    [known, ones(known.shape[0], past + added - known.shape[1], ScalarType.Bool, known.device)], 1));
        }
        if (attentionMask is null) return (null, null);
        Tensor mask = attentionMask != 0;
        if (mask.all().item<bool>()) return (null, null);
        // The count of leading zeros: padding on the right leaves the positions as they are.
        Tensor left = mask.logical_not().to(ScalarType.Int64).cumprod(1).sum(1);
        cache?.RememberPadding(left, mask);
        return (left, () => mask);
    }

    // A query that is itself left padding has no key to see: it sees itself, so that no row of the softmax is empty.
    private Tensor Allowed(Tensor keyMask, Tensor left)
    {
        if (prompt > 0) keyMask = cat([ones(keyMask.shape[0], prompt, ScalarType.Bool, keyMask.device), keyMask], 1);
        Tensor keyIndex = KeyIndex, causal = keyIndex <= queryIndex; // [new, all]
        Tensor visible = causal & keyMask.unsqueeze(1); // [batch, new, all]
        Tensor padding = queryIndex.view(1, -1, 1) - prompt < left.view(-1, 1, 1); // [batch, new, 1]
        Tensor itself = (keyIndex == queryIndex).unsqueeze(0);
        return (visible | (padding & itself)).unsqueeze(1);
    }

    private Tensor Additive(int? window)
    {
        Tensor keyIndex = KeyIndex;
        Tensor visible = allowed?.Invoke()
            ?? (bothWays ? keyIndex >= 0 : keyIndex <= queryIndex).view(1, 1, -1, past + added);
        if (window is { } w)
            visible = visible & (bothWays ? (keyIndex - queryIndex).abs() < w : keyIndex > queryIndex - w);
        // Padding on the right beyond the window has no key to see: it sees itself, for an empty row of the softmax is
        // not a number.
        if (window is not null && allowed is not null)
            visible = visible | (visible.any(-1, keepdim: true).logical_not() & (keyIndex == queryIndex));
        return zeros(visible.shape, ScalarType.Float32, visible.device).masked_fill_(
            visible.logical_not(), double.NegativeInfinity);
    }
}
