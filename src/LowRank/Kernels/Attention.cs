using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Kernels;

/// <summary>softmax(QKᵀ·scale + mask)V over heads (arXiv 1706.03762, section 3.2); groups of query heads can share
/// key-value heads (arXiv 2305.13245).</summary>
/// <remarks>Queries are [batch, heads, queries, dimension]; keys and values are [batch, key-value heads, keys,
/// dimension]; results are [batch, queries, heads · dimension], in the caller's dispose scope. The plain form is
/// <see cref="Masked"/>. The fast forms are <see cref="TiledAttention"/> for whole sequences and
/// <see cref="StepAttention"/> for one new position over a cache; <see cref="PagedAttention"/> attends over pages that
/// sequences share.</remarks>
internal static class Attention
{
    /// <summary>Attends to keys at the same positions in every row; the queries are the last of these
    /// positions.</summary>
    public static Tensor Rows(Tensor query, Tensor key, Tensor value, AttentionRule rule, IAttentionPass pass)
    {
        // For a single query, arranging all keys in tiles costs more than it saves.
        bool isStep = query.shape[2] == 1 && key.shape[2] > 1;
        if (!isStep && TryTiles(query, key, value, null, rule, pass) is { } mixed) return mixed;
        Tensor? mask = pass.Mask(rule.Window);
        return Masked(query, key, value, mask, mask is null && pass.IsCausal, rule);
    }

    /// <summary>Appends new positions to a cache and attends to all positions in it.</summary>
    /// <param name="query">[batch, heads, new, dimension]</param>
    /// <param name="key">[batch, key-value heads, new, dimension]</param>
    /// <param name="value">Same shape as the key.</param>
    /// <param name="cache">Keys and values, each [batch, key-value heads, capacity, dimension].</param>
    /// <param name="length">Number of positions already in the cache; it has room for the new ones.</param>
    /// <param name="rule">How scores become weights.</param>
    /// <param name="pass">The pass.</param>
    public static Tensor Cached(
        Tensor query, Tensor key, Tensor value, (Tensor Keys, Tensor Values) cache, int length, AttentionRule rule,
        IAttentionPass pass)
    {
        if (!KernelForm.IsPlain && StepAttention.TryAttend(query, key, value, cache, length, rule, pass) is { } mixed)
            return mixed;
        (Tensor keys, Tensor values) = Append(key, value, cache, length);
        return Rows(query, keys, values, rule, pass);
    }

    /// <summary>Appends new positions to a cache.</summary>
    /// <param name="key">As in <see cref="Cached"/>, like the parameters that follow.</param>
    /// <param name="value">Same shape as the key.</param>
    /// <param name="cache">The cache.</param>
    /// <param name="length">Number of positions already in it.</param>
    /// <returns>Views of the keys and values of all positions.</returns>
    public static (Tensor Keys, Tensor Values) Append(
        Tensor key, Tensor value, (Tensor Keys, Tensor Values) cache, int length)
    {
        long added = key.shape[2], all = length + added;
        cache.Keys.narrow(2, length, added).copy_(key);
        cache.Values.narrow(2, length, added).copy_(value);
        return (cache.Keys.narrow(2, 0, all), cache.Values.narrow(2, 0, all));
    }

    /// <summary>Attends within sequences packed into one row.</summary>
    /// <param name="query">[1, heads, tokens, dimension]</param>
    /// <param name="key">[1, key-value heads, tokens, dimension]</param>
    /// <param name="value">Same shape as the key.</param>
    /// <param name="packed">The layout of the sequences.</param>
    /// <param name="prompt">Keys and values placed before every sequence, [1, key-value heads, prompt, dimension]; null
    /// for none.</param>
    /// <param name="rule">How scores become weights.</param>
    /// <param name="pass">The pass.</param>
    public static Tensor Packed(
        Tensor query, Tensor key, Tensor value, PackedSequences packed, (Tensor Keys, Tensor Values)? prompt,
        AttentionRule rule, IAttentionPass pass) =>
        (prompt is null ? TryTiles(query, key, value, packed, rule, pass) : null)
        ?? PackedMasked(query, key, value, packed, prompt, rule, pass);

    /// <summary>Attends with queries, keys and values from one fused layer.</summary>
    /// <param name="fused">[batch, tokens, …]</param>
    /// <param name="split">Splits it into queries, keys and values.</param>
    /// <param name="packed">The layout of packed sequences; null if each row is one sequence.</param>
    /// <param name="rule">How scores become weights.</param>
    /// <param name="pass">The pass.</param>
    public static Tensor Fused(
        Tensor fused, Func<Tensor, (Tensor Query, Tensor Key, Tensor Value)> split, PackedSequences? packed,
        AttentionRule rule, IAttentionPass pass)
    {
        // The step splits the layer's output itself, so one gradient flows back instead of three that must be joined.
        if (is_grad_enabled() && fused.requires_grad && FusedTiles(fused, split, packed, rule, pass) is { } tiles)
            return TiledAttentionStep.Attend(fused, null, null, tiles);
        (Tensor query, Tensor key, Tensor value) = split(fused);
        return packed is null ? Rows(query, key, value, rule, pass)
            : Packed(query, key, value, packed, null, rule, pass);
    }

    /// <summary>Attends with torch's operations.</summary>
    /// <param name="query">[batch, heads, queries, dimension]</param>
    /// <param name="key">[batch, key-value heads, keys, dimension]</param>
    /// <param name="value">Same shape as the key.</param>
    /// <param name="mask">Added to the scores, [queries, keys] or with leading axes that broadcast; null for
    /// none.</param>
    /// <param name="causal">Whether query i sees only keys up to i.</param>
    /// <param name="rule">How scores become weights; the mask already contains the window.</param>
    public static Tensor Masked(
        Tensor query, Tensor key, Tensor value, Tensor? mask, bool causal, AttentionRule rule)
    {
        long groups = query.shape[1] / key.shape[1];
        if (groups > 1) (key, value) = (Repeat(key, groups), Repeat(value, groups));
        // Torch's operation itself divides by √d.
        if (rule.Scale is { } scale) query = query * Number(scale * Math.Sqrt(query.shape[^1]));
        Tensor mixed = rule.Softcap is not null || rule.Drops ? Explicit(query, key, value, mask, causal, rule)
            : nn.functional.scaled_dot_product_attention(query, key, value, mask, 0, causal);
        return mixed.transpose(1, 2).reshape(query.shape[0], query.shape[2], query.shape[1] * query.shape[3]);
    }

    private static Tensor Repeat(Tensor heads, long groups)
    {
        long[] s = heads.shape;
        return heads.unsqueeze(2).expand(s[0], s[1], groups, s[2], s[3]).reshape(s[0], s[1] * groups, s[2], s[3]);
    }

    // Torch's operation supports no cap and draws dropout from torch's global state.
    private static Tensor Explicit(
        Tensor query, Tensor key, Tensor value, Tensor? mask, bool causal, AttentionRule rule)
    {
        Tensor scores = matmul(query, key.transpose(-2, -1)) / Number(Math.Sqrt(query.shape[^1]));
        if (rule.Softcap is { } cap) scores = (scores / Number(cap)).tanh() * Number(cap);
        if (causal)
            scores = scores.Plus(full(
                scores.shape[^2], scores.shape[^1], Number(double.NegativeInfinity), ScalarType.Float32,
                scores.device).triu(1));
        else if (mask is not null) scores = scores.Plus(mask);
        return matmul(Dropout.Apply(nn.functional.softmax(scores, -1), rule.Dropout, rule.Generator), value);
    }

    // One call per segment, because its sequences have the same length; sequences do not attend to each other.
    private static Tensor PackedMasked(
        Tensor query, Tensor key, Tensor value, PackedSequences packed, (Tensor Keys, Tensor Values)? prompt,
        AttentionRule rule, IAttentionPass pass)
    {
        // Splitting once needs a single concatenation in the backward pass; slicing each segment would sum as many
        // full-size gradients.
        Tensor[] Pieces(Tensor heads) => heads.transpose(1, 2).split(packed.Sizes, 1); // [1, tokens, heads, dimension]
        Tensor[] queries = Pieces(query), keys = Pieces(key), values = Pieces(value);
        var mixed = new Tensor[packed.Segments.Count];
        for (int i = 0; i < mixed.Length; i++)
        {
            PackedSegment segment = packed.Segments[i];
            // [1, tokens, heads, dimension] to [sequences, heads, length, dimension], without a copy.
            Tensor Own(Tensor[] pieces) => pieces[i]
                .reshape(segment.Count, segment.Length, pieces[i].shape[2], pieces[i].shape[3]).transpose(1, 2);
            Tensor Seen(Tensor[] pieces, Tensor? first)
            {
                IEnumerable<Tensor> before = segment.Before.Select(number => pieces[number].transpose(1, 2));
                if (first is not null) before = before.Prepend(first);
                Tensor[] all = [.. before.Select(states => states.expand(segment.Count, -1, -1, -1)), Own(pieces)];
                return all.Length == 1 ? all[0] : cat(all, 2);
            }
            Tensor seen = Seen(keys, prompt?.Keys);
            Tensor? mask = PackedMask(segment.Length, seen.shape[2], rule.Window, query.device, pass);
            Tensor result = Masked(Own(queries), seen, Seen(values, prompt?.Values), mask,
                causal: mask is null && segment.Length > 1, rule); // [sequences, length, heads · dimension]
            mixed[i] = result.reshape(1, segment.Tokens, result.shape[2]);
        }
        return mixed.Length == 1 ? mixed[0] : cat(mixed, 1);
    }

    // Null for plain causal attention or attention to everything.
    private static Tensor? PackedMask(long queries, long keys, int? window, Device device, IAttentionPass pass)
    {
        int? limit = window < keys ? window : null;
        if (limit is null && (queries == keys || queries == 1)) return null;
        return pass.PackedMask(queries, keys, limit, () =>
        {
            Tensor query = Indices(keys - queries, keys, device: device).unsqueeze(1),
                key = Indices(0, keys, device: device).unsqueeze(0);
            Tensor visible = key <= query; // [queries, keys]
            if (limit is { } back) visible = visible & (key > query - Number(back));
            return zeros(visible.shape, ScalarType.Float32, device).masked_fill_(
                visible.logical_not(), Number(double.NegativeInfinity));
        });
    }

    /// <summary>Attends in tiles; null if torch must do it: with padding, capped scores, dropout, other devices or
    /// types.</summary>
    internal static Tensor? TryTiles(
        Tensor query, Tensor key, Tensor value, PackedSequences? packed, AttentionRule rule, IAttentionPass pass) =>
        FitsTiles(query, key, value, rule, pass)
            ? TiledAttentionStep.Attend(query, key, value, Tiles(query, key, packed, rule, pass)) : null;

    // Looks at the parts without a graph.
    private static AttentionTiles? FusedTiles(
        Tensor fused, Func<Tensor, (Tensor Query, Tensor Key, Tensor Value)> split, PackedSequences? packed,
        AttentionRule rule, IAttentionPass pass)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        (Tensor query, Tensor key, Tensor value) = split(fused);
        return FitsTiles(query, key, value, rule, pass)
            ? Tiles(query, key, packed, rule, pass) with { Split = split } : null;
    }

    private static AttentionTiles Tiles(
        Tensor query, Tensor key, PackedSequences? packed, AttentionRule rule, IAttentionPass pass)
    {
        long[] shape = query.shape;
        int back = rule.Window is { } window ? window - 1 : TiledAttention.Anywhere;
        return new(packed?.Sequences ?? pass.Sequences(shape[0], shape[2], key.shape[2]),
            rule.Scale ?? 1 / Math.Sqrt(shape[3]), back, pass.AttendsBothWays ? back : 0);
    }

    private static bool FitsTiles(
        Tensor query, Tensor key, Tensor value, AttentionRule rule, IAttentionPass pass)
    {
        if (KernelForm.IsPlain || !TiledAttention.IsSupported || pass.HasPadding
            || rule.Softcap is not null || rule.Drops || rule.Window is < 1
            || !FitsTiles(query) || !FitsTiles(key) || !FitsTiles(value))
            return false;
        long[] queries = query.shape, keys = key.shape;
        return keys.SequenceEqual(value.shape) && keys[0] == queries[0] && keys[3] == queries[3]
            && queries[3] <= TiledAttention.MostDimension
            // otherwise torch reports the error
            && keys[1] > 0 && queries[1] % keys[1] == 0 && keys[2] >= queries[2] && query.numel() > 0;
    }

    private static bool FitsTiles(Tensor heads) => heads.device_type == DeviceType.CPU
        && heads.dtype == ScalarType.Float32 && heads.stride(3) == 1;
}

/// <summary>How a layer's scores become weights.</summary>
/// <param name="Window">Number of positions that a query sees, including its own (on each side in an encoder); null for
/// all.</param>
/// <param name="Scale">Factor of the scores; null for 1/√(head width).</param>
/// <param name="Softcap">The cap c of scores, c·tanh(x/c); null for none.</param>
/// <param name="Dropout">Fraction of weights dropped during training.</param>
/// <param name="Generator">The random generator for dropout; null in evaluation.</param>
internal readonly record struct AttentionRule(
    int? Window = null, double? Scale = null, double? Softcap = null, double Dropout = 0, Generator? Generator = null)
{
    /// <summary>Whether weights are dropped.</summary>
    public bool Drops => Generator is not null && Dropout > 0;
}

/// <summary>Which tokens attend to which in one pass through a model; the same for all layers.</summary>
internal interface IAttentionPass
{
    /// <summary>Whether tokens see later tokens.</summary>
    bool AttendsBothWays { get; }

    /// <summary>Whether a layer without a mask attends causally; a single new token attends to everything.</summary>
    bool IsCausal { get; }

    /// <summary>Whether some tokens are padding, which is never attended to.</summary>
    bool HasPadding { get; }

    /// <summary>Whether there is a cache in which all padding, if any, is at the start of the rows: then the mask of
    /// one new token depends on nothing else.</summary>
    bool HasOnlyLeftPadding { get; }

    /// <summary>Number of padding positions at the start of a row of the cache.</summary>
    int LeftPadding(int row);

    /// <summary>The additive mask of a layer, [batch or 1, 1, new, all]; null for plain causal attention or attention
    /// to everything.</summary>
    Tensor? Mask(int? window);

    /// <summary>Which sequences attend to which if all rows are alike.</summary>
    AttentionSequences Sequences(long rows, long queries, long keys);

    /// <summary>A mask for packed sequences, created once for all layers.</summary>
    Tensor PackedMask(long queries, long keys, int? window, Func<Tensor> make);
}
