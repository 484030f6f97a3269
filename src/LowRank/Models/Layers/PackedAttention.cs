using LowRank.Data.Packing;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>Attention over texts that lie one after the other: a call for each length, none across texts.</summary>
internal static class PackedAttention
{
    /// <summary>Attends.</summary>
    /// <param name="query">[1, heads, tokens, dimension]</param>
    /// <param name="key">[1, key-value heads, tokens, dimension]</param>
    /// <param name="value">as <paramref name="key"/></param>
    /// <param name="settings">How the layer attends.</param>
    /// <param name="context">The pass.</param>
    /// <param name="documents">How the texts lie.</param>
    /// <returns>[1, tokens, heads · dimension]</returns>
    public static Tensor Attend(Tensor query, Tensor key, Tensor value, AttentionSettings settings, ForwardContext context, PackedDocuments documents)
    {
        // Splitting once keeps the backward pass at one concatenation; cutting segment by segment would add up as many whole gradients.
        Tensor[] queries = Pieces(query, documents), keys = Pieces(key, documents), values = Pieces(value, documents);
        (Tensor Keys, Tensor Values)? prompt = context.PromptOf(settings.Layer);
        var mixed = new Tensor[documents.Segments.Count];
        for (int i = 0; i < mixed.Length; i++)
        {
            PackedSegment segment = documents.Segments[i];
            Tensor Seen(Tensor[] pieces, Tensor? first)
            {
                Tensor own = Texts(pieces[i], segment);
                if (first is null && segment.Before.Count == 0) return own;
                IEnumerable<Tensor> earlier = segment.Before.Select(number => pieces[number].transpose(1, 2));
                Tensor[] before = [.. (first is null ? earlier : earlier.Prepend(first)).Select(states => states.expand(segment.Count, -1, -1, -1))];
                return cat([.. before, own], 2);
            }
            Tensor seen = Seen(keys, prompt?.Keys);
            Tensor? mask = Mask(segment.Length, seen.shape[2], settings.Window, context, query.device);
            Tensor result = AttentionKernel.Attend(Texts(queries[i], segment), seen, Seen(values, prompt?.Values), mask,
                causal: mask is null && segment.Length > 1, settings, context.Dropout); // [texts, length, heads · dimension]
            mixed[i] = result.reshape(1, segment.Tokens, result.shape[2]);
        }
        return mixed.Length == 1 ? mixed[0] : cat(mixed, 1);
    }

    // [1, heads, tokens, dimension] to a [1, tokens, heads, dimension] for each segment.
    private static Tensor[] Pieces(Tensor heads, PackedDocuments documents) => heads.transpose(1, 2).split(documents.Sizes, 1);

    // [1, tokens, heads, dimension] to [texts, heads, length, dimension], without a copy.
    private static Tensor Texts(Tensor piece, PackedSegment segment) =>
        piece.reshape(segment.Count, segment.Length, piece.shape[2], piece.shape[3]).transpose(1, 2);

    // Queries are the last of the keys. Null where plain causal attention, or attention to all, is meant.
    private static Tensor? Mask(long queries, long keys, int? window, ForwardContext context, Device device)
    {
        int? limit = window < keys ? window : null;
        if (limit is null && (queries == keys || queries == 1)) return null;
        if (context.DocumentMasks.TryGetValue((queries, keys, limit), out Tensor? known)) return known;
        Tensor Additive()
        {
            Tensor query = arange(keys - queries, keys, ScalarType.Int64, device).unsqueeze(1), key = arange(0, keys, ScalarType.Int64, device).unsqueeze(0);
            Tensor visible = key <= query; // [queries, keys]
            if (limit is { } back) visible = visible & (key > query - back);
            return zeros(visible.shape, ScalarType.Float32, device).masked_fill_(visible.logical_not(), double.NegativeInfinity);
        }
        return context.DocumentMasks[(queries, keys, limit)] = context.Share(Additive);
    }
}
