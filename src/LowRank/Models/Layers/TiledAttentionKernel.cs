using LowRank.Tensors.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>Attention of whole texts by <see cref="TiledAttention"/>, with gradients or without.</summary>
internal static class TiledAttentionKernel
{
    /// <summary>Attends, or returns null, having done nothing, where torch must: with padding, caps of scores, dropout, other devices and types.</summary>
    /// <param name="query">[batch, heads, queries, dimension]</param>
    /// <param name="key">All keys that are seen, [batch, key-value heads, keys, dimension].</param>
    /// <param name="value">as <paramref name="key"/></param>
    /// <param name="settings">How the layer attends.</param>
    /// <param name="context">The pass.</param>
    /// <returns>[batch, queries, heads · dimension]</returns>
    public static Tensor? TryAttend(Tensor query, Tensor key, Tensor value, AttentionSettings settings, ForwardContext context)
    {
        if (context.Cache is not null && query.shape[2] == 1) return null; // one query does not pay for arranging all keys
        if (context.HasPadding || !Fits(settings, context) || !Fits(query, key, value)) return null;
        long[] queries = query.shape;
        AttentionTexts texts = context.Texts(queries[0], queries[2], key.shape[2]);
        return TrainingAttention.Apply(query, key, value, Arguments(texts, queries[3], settings, context));
    }

    /// <summary>As <see cref="TryAttend"/>, of texts that lie one after the other.</summary>
    public static Tensor? TryAttendPacked(Tensor query, Tensor key, Tensor value, AttentionSettings settings, ForwardContext context, PackedDocuments documents)
    {
        if (context.PromptOf(settings.Layer) is not null || !Fits(settings, context) || !Fits(query, key, value)) return null;
        return TrainingAttention.Apply(query, key, value, Arguments(documents.Texts, query.shape[3], settings, context));
    }

    /// <summary>As <see cref="TryAttend"/>, of one projection's output, which takes one gradient; null also where nothing takes one, or
    /// keys and values are needed elsewhere.</summary>
    /// <param name="fused">[batch, tokens, …]</param>
    /// <param name="split">Takes it apart.</param>
    /// <param name="settings">How the layer attends.</param>
    /// <param name="context">The pass.</param>
    /// <returns>[batch, tokens, heads · dimension]</returns>
    public static Tensor? TryAttendFused(Tensor fused, Func<Tensor, (Tensor Query, Tensor Key, Tensor Value)> split, AttentionSettings settings, ForwardContext context)
    {
        if (!is_grad_enabled() || !fused.requires_grad || !context.IsPlain(settings) || !Fits(settings, context)) return null;
        AttentionTexts texts;
        long dimension;
        using (NewDisposeScope())
        using (no_grad())
        {
            (Tensor query, Tensor key, Tensor value) = split(fused);
            if (!Fits(query, key, value)) return null;
            long[] queries = query.shape;
            (texts, dimension) = (context.Documents is { } documents ? documents.Texts : context.Texts(queries[0], queries[2], key.shape[2]), queries[3]);
        }
        return TrainingAttention.Apply(fused, null, null, Arguments(texts, dimension, settings, context) with { Split = split });
    }

    private static TrainingAttentionArguments Arguments(AttentionTexts texts, long dimension, AttentionSettings settings, ForwardContext context)
    {
        int back = settings.Window is { } window ? window - 1 : TiledAttention.Anywhere;
        return new(texts, settings.Scale ?? 1 / Math.Sqrt(dimension), context.AttendsBothWays && settings.Window is null ? TiledAttention.Anywhere : back,
            context.AttendsBothWays ? back : 0);
    }

    private static bool Fits(AttentionSettings settings, ForwardContext context) =>
        TiledAttention.IsSupported && settings.Softcap is null && (context.Dropout is null || settings.Dropout == 0) && settings.Window is not < 1;

    private static bool Fits(Tensor query, Tensor key, Tensor value)
    {
        if (!Fits(query) || !Fits(key) || !Fits(value)) return false;
        long[] queries = query.shape, keys = key.shape;
        return keys.SequenceEqual(value.shape) && keys[0] == queries[0] && keys[3] == queries[3] && queries[3] <= TiledAttention.MostDimension
            && keys[1] > 0 && queries[1] % keys[1] == 0 && keys[2] >= queries[2] && query.numel() > 0; // else torch says what is wrong
    }

    private static bool Fits(Tensor heads) => heads.device_type == DeviceType.CPU && heads.dtype == ScalarType.Float32 && heads.stride(3) == 1;
}
