using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>softmax(QKᵀ/√d + mask)V over heads, with shared key-value heads repeated (arXiv 2305.13245).</summary>
internal static class AttentionKernel
{
    /// <summary>Attends through the cache of <paramref name="context"/> when there is one.</summary>
    /// <param name="query">[batch, heads, new, dimension]</param>
    /// <param name="key">[batch, key-value heads, new, dimension]</param>
    /// <param name="value">as <paramref name="key"/></param>
    /// <param name="settings">How the layer attends.</param>
    /// <param name="context">The pass.</param>
    /// <returns>[batch, new, heads · dimension]</returns>
    public static Tensor Attend(Tensor query, Tensor key, Tensor value, AttentionSettings settings, ForwardContext context)
    {
        if (context.Documents is { } documents)
        {
            return TiledAttentionKernel.TryAttendPacked(query, key, value, settings, context, documents)
                ?? PackedAttention.Attend(query, key, value, settings, context, documents);
        }
        if (StepAttentionKernel.TryAttend(query, key, value, settings, context) is { } step) return step;
        (key, value) = context.Seen(settings.Layer, key, value);
        if (TiledAttentionKernel.TryAttend(query, key, value, settings, context) is { } tiled) return tiled;
        Tensor? mask = context.Mask(settings.Window);
        return Attend(query, key, value, mask, mask is null && context.IsCausal, settings, context.Dropout);
    }

    /// <summary>Attends to the given keys.</summary>
    /// <param name="query">[batch, heads, queries, dimension]</param>
    /// <param name="key">[batch, key-value heads, keys, dimension]</param>
    /// <param name="value">as <paramref name="key"/></param>
    /// <param name="mask">Added to the scores, [queries, keys] or with axes before that broadcast; null for none.</param>
    /// <param name="causal">Whether query i sees the keys up to i alone.</param>
    /// <param name="settings">How the layer attends.</param>
    /// <param name="dropout">The generator for dropout while training; null in evaluation.</param>
    /// <returns>[batch, queries, heads · dimension]</returns>
    public static Tensor Attend(Tensor query, Tensor key, Tensor value, Tensor? mask, bool causal, AttentionSettings settings, Generator? dropout)
    {
        long groups = query.shape[1] / key.shape[1];
        if (groups > 1) (key, value) = (Repeat(key, groups), Repeat(value, groups));
        // The fused kernel scales by 1/√d itself.
        if (settings.Scale is { } scale) query = query * (scale * Math.Sqrt(query.shape[^1]));
        Tensor mixed = settings.Softcap is not null || (dropout is not null && settings.Dropout > 0)
            ? Explicit(query, key, value, mask, causal, settings, dropout)
            : nn.functional.scaled_dot_product_attention(query, key, value, mask, 0, causal);
        return mixed.transpose(1, 2).reshape(query.shape[0], query.shape[2], query.shape[1] * query.shape[3]);
    }

    private static Tensor Repeat(Tensor heads, long groups)
    {
        long[] s = heads.shape;
        return heads.unsqueeze(2).expand(s[0], s[1], groups, s[2], s[3]).reshape(s[0], s[1] * groups, s[2], s[3]);
    }

    // The fused kernel has no cap and draws its dropout from torch's global state; this one draws from the given generator.
    private static Tensor Explicit(Tensor query, Tensor key, Tensor value, Tensor? mask, bool causal, AttentionSettings settings, Generator? generator)
    {
        Tensor scores = matmul(query, key.transpose(-2, -1)) / Math.Sqrt(query.shape[^1]);
        if (settings.Softcap is { } cap) scores = (scores / cap).tanh() * cap;
        if (causal) scores = scores + full(scores.shape[^2], scores.shape[^1], double.NegativeInfinity, ScalarType.Float32, scores.device).triu(1);
        else if (mask is not null) scores = scores + mask;
        return matmul(Dropout.Apply(nn.functional.softmax(scores, -1), settings.Dropout, generator), value);
    }
}
