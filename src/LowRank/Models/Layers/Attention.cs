using LowRank.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>The part of a block that mixes positions.</summary>
public interface IAttention
{
    /// <summary>[batch, sequence, hidden] to the same shape.</summary>
    Tensor Forward(Tensor input, ForwardContext context);

    /// <summary>The layers that can be adapted.</summary>
    IEnumerable<Linear> LinearLayers { get; }
}

/// <summary>How a layer attends.</summary>
/// <param name="Layer">The layer's index, for the cache.</param>
/// <param name="Window">Number of positions that a token sees, including its own (on each side in an encoder); null for
/// all.</param>
/// <param name="Scale">Factor of the scores; null for 1/√(head width).</param>
/// <param name="Softcap">The cap on scores; null for none.</param>
/// <param name="Dropout">Fraction of attention weights dropped while training.</param>
/// <param name="UsesLocalRope">Whether it rotates with the local rotary settings.</param>
public sealed record AttentionSettings(
    int Layer, int? Window = null, double? Scale = null, double? Softcap = null, double Dropout = 0,
    bool UsesLocalRope = false)
{
    /// <summary>Whether it rotates queries and keys, in a model with rotary positions.</summary>
    public bool Rotates { get; init; } = true;

    /// <summary>Positions as biases on the scores; null for none.</summary>
    internal Alibi? Alibi { get; init; }

    /// <summary>How scores become weights.</summary>
    /// <param name="generator">The generator for dropout while training; null in evaluation.</param>
    internal AttentionRule Rule(Generator? generator) => new(Window, Scale, Softcap, Dropout, generator);
}

/// <summary>Grouped-query attention with separate query, key and value layers; rotary if the model is.</summary>
/// <param name="query">[hidden] to [heads · dimension]</param>
/// <param name="key">[hidden] to [key-value heads · dimension]</param>
/// <param name="value">Same shape as <paramref name="key"/>.</param>
/// <param name="output">[heads · dimension] to [hidden]</param>
/// <param name="headDimension">Width of a head.</param>
/// <param name="settings">How the layer attends.</param>
/// <param name="queryNorm">A normalisation of each query head; null for families without one.</param>
/// <param name="keyNorm">Like <paramref name="queryNorm"/>, for keys.</param>
/// <param name="normsAllHeads">Whether the two normalise all heads as one vector instead of each head.</param>
public sealed class SeparateAttention(
    Linear query, Linear key, Linear value, Linear output, int headDimension,
    AttentionSettings settings, INormalization? queryNorm = null, INormalization? keyNorm = null,
    bool normsAllHeads = false) : IAttention
{
    /// <inheritdoc/>
    public IEnumerable<Linear> LinearLayers => [query, key, value, output];

    /// <inheritdoc/>
    public Tensor Forward(Tensor input, ForwardContext context)
    {
        (Tensor q, Tensor k) = context.Rotate(
            Heads(query.Forward(input, context.Dropout), queryNorm),
            Heads(key.Forward(input, context.Dropout), keyNorm), settings);
        Tensor v = Heads(value.Forward(input, context.Dropout), null);
        return output.Forward(context.Attend(q, k, v, settings), context.Dropout);
    }

    // [batch, sequence, heads · dimension] to [batch, heads, sequence, dimension]
    private Tensor Heads(Tensor projected, INormalization? norm)
    {
        if (normsAllHeads && norm is not null) projected = norm.Forward(projected);
        Tensor heads = projected.view(projected.shape[0], projected.shape[1], -1, headDimension);
        return (normsAllHeads || norm is null ? heads : norm.Forward(heads)).transpose(1, 2);
    }
}

/// <summary>Attention with a fused query, key and value layer; rotary if the model is.</summary>
/// <param name="queryKeyValue">[hidden] to queries, keys and values.</param>
/// <param name="output">[heads · dimension] to [hidden]</param>
/// <param name="split">Splits the fused output, [batch, sequence, …], into query, key and value, each [batch, heads,
/// sequence, dimension]: one of <see cref="FusedLayout"/>.</param>
/// <param name="settings">How the layer attends.</param>
public sealed class FusedAttention(
    Linear queryKeyValue, Linear output, Func<Tensor, (Tensor Query, Tensor Key, Tensor Value)> split,
    AttentionSettings settings) : IAttention
{
    /// <inheritdoc/>
    public IEnumerable<Linear> LinearLayers => [queryKeyValue, output];

    /// <inheritdoc/>
    public Tensor Forward(Tensor input, ForwardContext context)
    {
        Tensor fused = queryKeyValue.Forward(input, context.Dropout);
        return output.Forward(context.Attend(fused, split, settings), context.Dropout);
    }
}

/// <summary>The layouts of queries, keys and values in fused layers.</summary>
public static class FusedLayout
{
    /// <summary>All queries, then all keys, then all values, each with the same number of heads (GPT-2,
    /// ModernBERT).</summary>
    public static Func<Tensor, (Tensor Query, Tensor Key, Tensor Value)> Stacked(int heads, int dimension) => fused =>
    {
        Tensor[] parts = fused.view(fused.shape[0], fused.shape[1], 3, heads, dimension).permute(
            2, 0, 3, 1, 4).unbind(0);
        return (parts[0], parts[1], parts[2]);
    };

    /// <summary>Query, key and value of the first head, then of the next (GPT-NeoX).</summary>
    public static Func<Tensor, (Tensor Query, Tensor Key, Tensor Value)> HeadByHead(int heads, int dimension) =>
        fused =>
    {
        Tensor[] parts = fused.view(fused.shape[0], fused.shape[1], heads, 3, dimension).permute(
            3, 0, 2, 1, 4).unbind(0);
        return (parts[0], parts[1], parts[2]);
    };

    /// <summary>All queries, then fewer keys, then as many values (Phi-3).</summary>
    public static Func<Tensor, (Tensor Query, Tensor Key, Tensor Value)> Grouped(
        int heads, int keyValueHeads, int dimension) => fused =>
    {
        Tensor all = fused.view(fused.shape[0], fused.shape[1], heads + 2 * keyValueHeads, dimension).transpose(1, 2);
        return (all.narrow(1, 0, heads), all.narrow(1, heads, keyValueHeads),
            all.narrow(1, heads + keyValueHeads, keyValueHeads));
    };

    /// <summary>The queries that share the first key, that key and its value, then those of the next (Falcon). The
    /// queries are copied, so gradients do not flow into the parts: for rotated heads alone.</summary>
    internal static Func<Tensor, (Tensor Query, Tensor Key, Tensor Value)> GroupByGroup(
        int heads, int keyValueHeads, int dimension) => fused =>
    {
        long batch = fused.shape[0], length = fused.shape[1], queries = heads / keyValueHeads;
        Tensor groups = fused.view(batch, length, keyValueHeads, queries + 2, dimension).permute(0, 2, 3, 1, 4);
        return (groups.narrow(2, 0, queries).reshape(batch, heads, length, dimension),
            groups.select(2, queries), groups.select(2, queries + 1));
    };
}

/// <summary>T5's attention: separate linear layers without biases, unscaled scores, and positions as a bias on the
/// scores.</summary>
internal sealed class RelativeAttention
{
    private readonly Linear query;
    private readonly Linear key;
    private readonly Linear value;
    private readonly Linear output;
    private readonly EncoderDecoderShape shape;

    /// <summary>Loads q, k, v and o under <paramref name="path"/>.</summary>
    public RelativeAttention(WeightLoader weights, string path, EncoderDecoderShape shape)
    {
        this.shape = shape;
        int inner = shape.Heads * shape.HeadDimension;
        query = Linear.Load(weights, path + ".q", shape.HiddenSize, inner, bias: false);
        key = Linear.Load(weights, path + ".k", shape.HiddenSize, inner, bias: false);
        value = Linear.Load(weights, path + ".v", shape.HiddenSize, inner, bias: false);
        output = Linear.Load(weights, path + ".o", inner, shape.HiddenSize, bias: false);
    }

    /// <summary>The layers that can be adapted.</summary>
    public IEnumerable<Linear> LinearLayers => [query, key, value, output];

    /// <summary>Keys and values of states, each [batch, heads, positions, dimension].</summary>
    public (Tensor Keys, Tensor Values) KeysAndValues(Tensor states, Generator? dropout) =>
        (Heads(key.Forward(states, dropout)), Heads(value.Forward(states, dropout)));

    /// <summary>Attends.</summary>
    /// <param name="input">[batch, queries, hidden]</param>
    /// <param name="keys">[batch, heads, keys, dimension]</param>
    /// <param name="values">Same shape as <paramref name="keys"/>.</param>
    /// <param name="bias">Added to the scores: positions and masking, broadcast to [batch, heads, queries, keys]; or
    /// null.</param>
    /// <param name="dropout">The generator for dropout while training.</param>
    public Tensor Attend(Tensor input, Tensor keys, Tensor values, Tensor? bias, Generator? dropout)
    {
        Tensor queries = Heads(query.Forward(input, dropout));
        Tensor? mask = bias?.expand(queries.shape[0], queries.shape[1], queries.shape[2], keys.shape[2]);
        var rule = new AttentionRule(Scale: 1, Dropout: shape.Dropout, Generator: dropout);
        return output.Forward(
            Attention.Masked(queries, keys, values, mask, causal: false, rule), dropout);
    }

    private Tensor Heads(Tensor projected) =>
        projected.view(projected.shape[0], projected.shape[1], shape.Heads, shape.HeadDimension).transpose(1, 2);
}

/// <summary>T5's position bias: a learned value for each head and distance bucket, added to attention scores (arXiv
/// 1910.10683, section 2.1). Small distances have their own buckets, larger ones share logarithmic buckets.</summary>
internal sealed class RelativePositions
{
    private readonly Tensor table; // [buckets, heads]
    private readonly int maxDistance;
    private readonly bool bothWays;

    /// <summary>Loads the table [buckets, heads].</summary>
    /// <param name="weights">The weights.</param>
    /// <param name="path">The module's path.</param>
    /// <param name="shape">The model's sizes.</param>
    /// <param name="bothWays">Whether later positions have their own buckets, as in an encoder.</param>
    public RelativePositions(WeightLoader weights, string path, EncoderDecoderShape shape, bool bothWays)
    {
        table = weights.Take(path + ".weight", shape.DistanceBuckets, shape.Heads);
        (maxDistance, this.bothWays) = (shape.MaxDistance, bothWays);
    }

    /// <summary>The bias, [1, heads, queries, keys]; the queries are the last of the keys' positions.</summary>
    public Tensor Bias(long queries, long keys)
    {
        Tensor query = Indices(keys - queries, keys, device: table.device).unsqueeze(1);
        Tensor key = Indices(0, keys, device: table.device).unsqueeze(0);
        Tensor buckets = Buckets(key - query);
        return table.index_select(0, buckets.view(-1)).view(queries, keys, -1).permute(2, 0, 1).unsqueeze(0);
    }

    private Tensor Buckets(Tensor distance)
    {
        long count = table.shape[0];
        Tensor buckets = zeros_like(distance);
        if (bothWays)
        {
            count /= 2;
            buckets = (distance > Number(0)).to(ScalarType.Int64) * Number(count);
            distance = distance.abs();
        }
        else
        {
            distance = distance.clamp_max(Number(0)).neg();
        }
        long exact = count / 2;
        Tensor logarithmic =
            (log(distance.to(ScalarType.Float32) / Number(exact))
                / Number(Math.Log((double)maxDistance / exact)) * Number(count - exact))
            .nan_to_num(0, 0, 0).to(ScalarType.Int64).Plus(exact); // distance 0 is -inf here and takes the exact branch
        return buckets.Plus(where(distance < Number(exact), distance, logarithmic.clamp_max(Number(count - 1))));
    }
}
