using LowRank.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>What the layers share in one forward pass: positions, masks, the cache, the dropout generator.</summary>
public sealed class ForwardContext : IAttentionPass, IDisposable
{
    // [batch or 1, 1, new, all], booleans, without windows; null for plain causal attention
    private readonly Func<Tensor>? allowed;
    private readonly Dictionary<int, Tensor?> masks = [];
    private readonly Dictionary<(long Queries, long Keys, int? Window), Tensor> packedMasks = [];
    private readonly Tensor queryIndex;    // [new, 1]
    private readonly Device device;
    private readonly int past;
    private readonly int added;
    private readonly bool bothWays;
    private AttentionSequences? sequences;
    private Tensor? alibi; // the biases of the new positions, [batch or 1, heads, new, 1]
    private readonly int prompt; // positions of a prompt adapter, which every token sees; counted in past

    private ForwardContext(int past, int added, Device device, bool bothWays = false, int prompt = 0)
    {
        this.bothWays = bothWays;
        this.prompt = prompt;
        this.past = past;
        this.added = added;
        this.device = device;
        queryIndex = Indices(past, past + added, device: device).unsqueeze(1);
    }

    private ForwardContext(ForwardContext indexed, Func<Tensor>? allowed)
        : this(indexed.past, indexed.added, indexed.device, indexed.bothWays, indexed.prompt) =>
        this.allowed = allowed;

    /// <summary>Positions of the new tokens, [batch or 1, new]; each row counts from its first token that is not
    /// padding.</summary>
    public Tensor Positions { get; private init; } = null!;

    private RotaryAngles? Rotation { get; init; }

    private RotaryAngles? LocalRotation { get; init; }

    private Tensor KeyIndex => Indices(0, past + added, device: device).unsqueeze(0); // [1, all]

    /// <summary>The cache during generation.</summary>
    internal KeyValueCache? Cache { get; private init; }

    /// <summary>Keys and values before the text, [1, heads, prompt, dimension] for each layer; null for none.</summary>
    private IReadOnlyList<(Tensor Keys, Tensor Values)>? Prompt { get; init; }

    /// <summary>The layout of packed texts; null if each row is one text.</summary>
    private PackedSequences? Packed { get; init; }

    /// <summary>The attention over paged keys and values; null without pages.</summary>
    private PagedAttention? Paged { get; init; }

    /// <summary>Receives every layer's keys and values of packed texts; otherwise null.</summary>
    private Action<int, Tensor, Tensor>? Placed { get; init; }

    /// <summary>Receives every layer's keys and values when a prompt is computed; otherwise null.</summary>
    private IList<(Tensor Keys, Tensor Values)>? Collected { get; init; }

    /// <summary>The generator for dropout while training; null in evaluation.</summary>
    public Generator? Dropout { get; private init; }

    /// <summary>Prepares a pass.</summary>
    /// <param name="tokens">[batch, new]</param>
    /// <param name="attentionMask">1 for tokens and 0 for padding, [batch, new]; null without padding.</param>
    /// <param name="rope">Rotary positions; null for learned ones.</param>
    /// <param name="localRope">Rotary positions of layers that attend in a window, if they differ.</param>
    /// <param name="cache">Holds earlier positions and remembers the prompt's padding.</param>
    /// <param name="dropout">The generator for dropout while training.</param>
    /// <param name="prompt">Keys and values of positions before the text, [1, heads, prompt, dimension] for each layer;
    /// null for none.</param>
    internal static ForwardContext Create(
        Tensor tokens, Tensor? attentionMask, RotaryEmbedding? rope, RotaryEmbedding? localRope,
        KeyValueCache? cache, Generator? dropout, IReadOnlyList<(Tensor Keys, Tensor Values)>? prompt = null)
    {
        int past = cache?.Length ?? 0, added = (int)tokens.shape[1], before = (int)(prompt?[0].Keys.shape[2] ?? 0);
        var indexed = new ForwardContext(before + past, added, tokens.device, prompt: before);
        (Tensor? left, Func<Tensor>? keyMask) = Padding(attentionMask, cache, past, added);
        Tensor positions = indexed.queryIndex.view(1, added);
        if (left is not null) positions = (positions - left.unsqueeze(1)).clamp_min(Number(before));
        past += before;
        return new ForwardContext(indexed, keyMask is null ? null : () => indexed.Allowed(keyMask(), left!))
        {
            Positions = positions,
            Rotation = rope?.At(positions, past + added),
            LocalRotation = localRope?.At(positions, past + added),
            Cache = cache,
            Prompt = prompt,
            Dropout = dropout,
        };
    }

    /// <summary>Prepares a pass over packed texts.</summary>
    /// <param name="packed">Their layout.</param>
    /// <param name="rope">Rotary positions; null for learned ones.</param>
    /// <param name="localRope">Rotary positions of layers that attend in a window, if they differ.</param>
    /// <param name="dropout">The generator for dropout while training.</param>
    /// <param name="prompt">As in <see cref="Create"/>; placed before each text.</param>
    /// <param name="placed">Called with each layer's index and its keys and values of the texts; null if nothing keeps
    /// them.</param>
    internal static ForwardContext CreatePacked(
        PackedSequences packed, RotaryEmbedding? rope, RotaryEmbedding? localRope, Generator? dropout,
        IReadOnlyList<(Tensor Keys, Tensor Values)>? prompt, Action<int, Tensor, Tensor>? placed = null)
    {
        int before = (int)(prompt?[0].Keys.shape[2] ?? 0), longest = before + packed.Longest;
        Tensor positions = before == 0 ? packed.Positions : packed.Positions.Plus(before);
        return new ForwardContext(before, (int)positions.shape[1], positions.device, prompt: before)
        {
            Positions = positions,
            Packed = packed,
            Placed = placed,
            Rotation = rope?.At(positions, longest),
            LocalRotation = localRope?.At(positions, longest),
            Prompt = prompt,
            Dropout = dropout,
        };
    }

    /// <summary>Prepares a pass over paged keys and values, in which each token is a row of one position.</summary>
    /// <param name="tokens">The tokens.</param>
    /// <param name="pages">The pages of their sequences.</param>
    /// <param name="device">The model's device.</param>
    /// <param name="rope">Rotary positions; null for learned ones.</param>
    /// <param name="localRope">Rotary positions of layers that attend in a window, if they differ.</param>
    internal static ForwardContext CreatePaged(
        PagedTokens tokens, KeyValuePages pages, Device device, RotaryEmbedding? rope, RotaryEmbedding? localRope)
    {
        Tensor positions = tensor(tokens.Positions(), device: device).unsqueeze(1);
        return new ForwardContext(0, 1, device)
        {
            Positions = positions,
            Rotation = rope?.Of(positions, tokens.Longest),
            LocalRotation = localRope?.Of(positions, tokens.Longest),
            Paged = new PagedAttention(tokens, pages),
        };
    }

    /// <summary>Prepares the pass of only the prompt that precedes every text.</summary>
    /// <param name="length">Number of positions.</param>
    /// <param name="device">The model's device.</param>
    /// <param name="rope">Rotary positions; null for learned ones.</param>
    /// <param name="localRope">Rotary positions of layers that attend in a window, if they differ.</param>
    /// <param name="dropout">The generator for dropout while training.</param>
    /// <param name="collected">Receives each layer's keys and values in turn.</param>
    internal static ForwardContext CreatePrompt(
        int length, Device device, RotaryEmbedding? rope, RotaryEmbedding? localRope, Generator? dropout,
        IList<(Tensor Keys, Tensor Values)> collected)
    {
        var indexed = new ForwardContext(0, length, device);
        Tensor positions = indexed.queryIndex.view(1, length);
        return new ForwardContext(indexed, null)
        {
            Positions = positions,
            Rotation = rope?.At(positions, length),
            LocalRotation = localRope?.At(positions, length),
            Dropout = dropout,
            Collected = collected,
        };
    }

    /// <summary>Prepares a pass in which every token sees all tokens, as in an encoder.</summary>
    /// <param name="tokens">[batch, sequence]</param>
    /// <param name="attentionMask">1 for tokens and 0 for padding, [batch, sequence]; null without padding.</param>
    /// <param name="rope">Rotary positions; null for other kinds.</param>
    /// <param name="localRope">Rotary positions of layers that attend in a window, if they differ.</param>
    /// <param name="dropout">The generator for dropout while training.</param>
    internal static ForwardContext CreateBothWays(
        Tensor tokens, Tensor? attentionMask, RotaryEmbedding? rope, RotaryEmbedding? localRope, Generator? dropout)
    {
        int length = (int)tokens.shape[1];
        var indexed = new ForwardContext(0, length, tokens.device, bothWays: true);
        Tensor positions = indexed.queryIndex.view(1, length);
        Tensor? mask = attentionMask is null ? null : attentionMask != Number(0);
        if (mask is not null && mask.all().item<bool>()) mask = null;
        Tensor? visible = mask?.unsqueeze(1).unsqueeze(1); // [batch, 1, 1, all]
        return new ForwardContext(indexed, visible is null ? null : () => visible)
        {
            Positions = positions,
            Rotation = rope?.At(positions, length),
            LocalRotation = localRope?.At(positions, length),
            Dropout = dropout,
        };
    }

    /// <summary>Rotates queries and keys, [batch, heads, new, dimension], by their positions; does nothing without
    /// rotary positions.</summary>
    internal (Tensor Query, Tensor Key) Rotate(Tensor query, Tensor key, AttentionSettings settings) =>
        Angles(settings) is { } angles ? Rotary.Rotate(query, key, angles) : (query, key);

    private RotaryAngles? Angles(AttentionSettings settings) =>
        !settings.Rotates ? null : settings.UsesLocalRope ? LocalRotation : Rotation;

    /// <summary>Attends, through the cache if there is one.</summary>
    /// <param name="query">[batch, heads, new, dimension]</param>
    /// <param name="key">[batch, key-value heads, new, dimension]</param>
    /// <param name="value">Same shape as the key.</param>
    /// <param name="settings">How the layer attends.</param>
    /// <returns>[batch, new, heads · dimension]</returns>
    internal Tensor Attend(Tensor query, Tensor key, Tensor value, AttentionSettings settings)
    {
        if (settings.Alibi is { } biases)
        {
            alibi ??= Share(() => biases.Biases(Positions));
            return biases.Attend(query, key, value, alibi, settings, Attend);
        }
        AttentionRule rule = settings.Rule(Dropout);
        if (Paged is not null) return Paged.Attend(query, key, value, settings.Layer, rule);
        (Tensor Keys, Tensor Values)? prompt = Prompt?[settings.Layer];
        Placed?.Invoke(settings.Layer, key, value);
        if (Packed is not null) return Attention.Packed(query, key, value, Packed, prompt, rule, this);
        Collected?.Add((key, value));
        if (Cache is not null && prompt is null)
        {
            Cache.RequireRoom(added);
            return Attention.Cached(query, key, value, Cache.Layer(settings.Layer), Cache.Length, rule, this);
        }
        if (Cache is not null) (key, value) = Cache.Append(settings.Layer, key, value);
        if (prompt is { } before)
        {
            Tensor Together(Tensor first, Tensor states) => cat([first.expand(states.shape[0], -1, -1, -1), states], 2);
            (key, value) = (Together(before.Keys, key), Together(before.Values, value));
        }
        return Attention.Rows(query, key, value, rule, this);
    }

    /// <summary>Attends with queries, keys and values from a fused layer.</summary>
    /// <param name="fused">[batch, new, …]</param>
    /// <param name="split">Splits it into queries, keys and values, each [batch, heads, new, dimension].</param>
    /// <param name="settings">How the layer attends.</param>
    /// <returns>[batch, new, heads · dimension]</returns>
    internal Tensor Attend(
        Tensor fused, Func<Tensor, (Tensor Query, Tensor Key, Tensor Value)> split, AttentionSettings settings)
    {
        // Without rotation, biases, cache and prompt, the heads go to attention unchanged.
        if (allowed is null && Cache is null && Prompt is null && Collected is null && Placed is null
            && Paged is null && settings.Alibi is null && Angles(settings) is null)
            return Attention.Fused(fused, split, Packed, settings.Rule(Dropout), this);
        (Tensor query, Tensor key, Tensor value) = split(fused);
        (query, key) = Rotate(query, key, settings);
        return Attend(query, key, value, settings);
    }

    bool IAttentionPass.AttendsBothWays => bothWays;

    bool IAttentionPass.HasPadding => allowed is not null;

    bool IAttentionPass.HasOnlyLeftPadding => Cache is { PaddingIsLeft: true };

    int IAttentionPass.LeftPadding(int row) => Cache?.PaddingOf(row) ?? 0;

    AttentionSequences IAttentionPass.Sequences(long rows, long queries, long keys) =>
        sequences ??= AttentionSequences.OfRows((int)rows, (int)queries, (int)keys);

    Tensor IAttentionPass.PackedMask(long queries, long keys, int? window, Func<Tensor> make) =>
        packedMasks.TryGetValue((queries, keys, window), out Tensor? known) ? known
            : packedMasks[(queries, keys, window)] = Share(make);

    /// <summary>Whether a layer without a mask attends causally (several tokens) or to everything (one
    /// token).</summary>
    public bool IsCausal => !bothWays && added > 1;

    /// <summary>The additive mask for a layer, [batch or 1, 1, new, all]; null for plain causal attention.</summary>
    /// <param name="window">Number of positions that a token sees, including its own (on each side in an encoder); null
    /// for all.</param>
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

    /// <summary>Keeps the tensors that blocks read alive until the pass is disposed of: the blocks are recomputed in
    /// the backward pass.</summary>
    internal void OutliveScope()
    {
        foreach (Tensor tensor in Read) tensor.DetachFromDisposeScope();
    }

    /// <summary>Frees the tensors that blocks read, if no dispose scope does.</summary>
    public void Dispose()
    {
        foreach (Tensor tensor in Read) tensor.Dispose();
    }

    private IEnumerable<Tensor> Read =>
        new[] { Rotation, LocalRotation }.OfType<RotaryAngles>()
        .SelectMany(angles => new[] { angles.Cosine, angles.Sine, angles.QueryScale }).Append(alibi)
        .OfType<Tensor>().Concat(masks.Values.OfType<Tensor>()).Concat(packedMasks.Values);

    /// <summary>Creates a tensor that lives as long as the pass, for a tensor that later blocks also use.</summary>
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
        Tensor mask = attentionMask != Number(0);
        if (mask.all().item<bool>()) return (null, null);
        // The number of leading zeros: padding on the right leaves the positions unchanged.
        Tensor left = mask.logical_not().to(ScalarType.Int64).cumprod(1).sum(1);
        cache?.RememberPadding(left, mask);
        return (left, () => mask);
    }

    // A query that is itself left padding has no key to see. It sees itself, so that no softmax row is empty.
    private Tensor Allowed(Tensor keyMask, Tensor left)
    {
        if (prompt > 0) keyMask = cat([ones(keyMask.shape[0], prompt, ScalarType.Bool, keyMask.device), keyMask], 1);
        Tensor keyIndex = KeyIndex, causal = keyIndex <= queryIndex; // [new, all]
        Tensor visible = causal & keyMask.unsqueeze(1); // [batch, new, all]
        Tensor padding = queryIndex.view(1, -1, 1) - Number(prompt) < left.view(-1, 1, 1); // [batch, new, 1]
        Tensor itself = (keyIndex == queryIndex).unsqueeze(0);
        return (visible | (padding & itself)).unsqueeze(1);
    }

    private Tensor Additive(int? window)
    {
        Tensor keyIndex = KeyIndex;
        Tensor visible = allowed?.Invoke()
            ?? (bothWays ? keyIndex >= Number(0) : keyIndex <= queryIndex).view(1, 1, -1, past + added);
        if (window is { } w)
            visible = visible & (
                bothWays ? (keyIndex - queryIndex).abs() < Number(w) : keyIndex > queryIndex - Number(w));
        // Right padding beyond the window has no key to see. It sees itself, because the softmax of an empty row is
        // NaN.
        if (window is not null && allowed is not null)
            visible = visible | (visible.any(-1, keepdim: true).logical_not() & (keyIndex == queryIndex));
        return zeros(visible.shape, ScalarType.Float32, visible.device).masked_fill_(
            visible.logical_not(), Number(double.NegativeInfinity));
    }
}
