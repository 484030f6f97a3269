using LowRank.Kernels.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Kernels;

/// <summary>Attention of one pass over paged keys and values (PagedAttention, arXiv 2309.06180): writes the new keys
/// and values to their pages, then each token attends to the positions of its sequence up to its own.</summary>
/// <remarks>On a processor a token's result depends, to the last bit, only on its sequence's queries, keys and values:
/// not on the other tokens of the pass, nor on which passes computed the earlier ones
/// (<see cref="PagedAttentionKernel"/>). The plain form promises this only up to rounding.</remarks>
internal sealed class PagedAttention
{
    private readonly PagedTokens tokens;
    private readonly KeyValuePages pages;
    private readonly nint[] addresses = []; // of the sequences' pages, one sequence after the other
    private PagedTile[] tiles = [];
    private int groups; // of the tiles

    /// <summary>Prepares a pass.</summary>
    /// <param name="tokens">Its tokens.</param>
    /// <param name="pages">The pages of their sequences; none is returned before the pass ends.</param>
    /// <exception cref="ArgumentException">A sequence has a page that is not in use.</exception>
    public PagedAttention(PagedTokens tokens, KeyValuePages pages)
    {
        (this.tokens, this.pages) = (tokens, pages);
        addresses = [.. tokens.Sequences.SelectMany(sequence => sequence.Pages).Select(pages.Address)];
    }

    /// <summary>Writes a layer's new keys and values, and attends.</summary>
    /// <param name="query">[tokens, heads, 1, dimension]</param>
    /// <param name="key">[tokens, key-value heads, 1, dimension]</param>
    /// <param name="value">Same shape as the key.</param>
    /// <param name="layer">The layer's index.</param>
    /// <param name="rule">How scores become weights, without dropout.</param>
    /// <returns>[tokens, 1, heads · dimension], in the caller's dispose scope.</returns>
    public Tensor Attend(Tensor query, Tensor key, Tensor value, int layer, AttentionRule rule)
    {
        long[] queries = query.shape, heads = [tokens.Count, pages.Heads, 1, pages.Dimension];
        if (!key.shape.SequenceEqual(heads) || !value.shape.SequenceEqual(heads)
            || !queries.SequenceEqual([tokens.Count, queries[1], 1, pages.Dimension]) || queries[1] % pages.Heads != 0)
            throw new ArgumentException(
                $"Queries of [{string.Join(", ", queries)}], keys of [{string.Join(", ", key.shape)}] and values of " +
                $"[{string.Join(", ", value.shape)}] do not belong to {tokens.Count} tokens and pages of " +
                $"{pages.Heads} heads of {pages.Dimension}.", nameof(query));
        if (rule.Drops) throw new ArgumentException("Nothing is dropped over pages.", nameof(rule));
        return !KernelForm.IsPlain && pages.IsOnProcessor && Fits(query) && Fits(key) && Fits(value)
            ? Fast(query, key, value, layer, rule) : Plain(query, key, value, layer, rule);
    }

    private static bool Fits(Tensor heads) => KernelTensors.Fit(heads, strided: true) && heads.stride(3) == 1;

    private unsafe Tensor Fast(Tensor query, Tensor key, Tensor value, int layer, AttentionRule rule)
    {
        int heads = (int)query.shape[1], dimension = pages.Dimension;
        if (groups != heads / pages.Heads)
        {
            groups = heads / pages.Heads;
            tiles = Tiles(groups);
        }
        Tensor mixed = empty(tokens.Count, 1, heads * dimension);
        fixed (nint* table = addresses)
        fixed (PagedTile* first = tiles)
        {
            var kernel = new PagedAttentionKernel
            {
                Query = AttentionHeads.From(query),
                NewKey = AttentionHeads.From(key),
                NewValue = AttentionHeads.From(value),
                Output = (float*)NativeTensor.Address(mixed),
                Pages = table,
                KeyOffset = layer * pages.LayerNumbers,
                ValueOffset = layer * pages.LayerNumbers + pages.Heads * pages.HeadNumbers,
                HeadNumbers = pages.HeadNumbers,
                Tiles = first,
                TileCount = tiles.Length,
                KeyValueHeads = pages.Heads,
                Groups = groups,
                Dimension = dimension,
                Window = rule.Window ?? int.MaxValue,
                Scale = (float)(rule.Scale ?? 1 / Math.Sqrt(dimension)),
                Softcap = (float)(rule.Softcap ?? 0),
            };
            kernel.Compute(writesFirst: tiles.Any(tile => !tile.IsWhole));
        }
        return mixed;
    }

    // A tile begins at a multiple of its length, so that only its last page holds keys that some of it do not see.
    private PagedTile[] Tiles(int groups)
    {
        int length = KeyValuePages.PageLength;
        while (length > 1 && length * groups > PagedAttentionKernel.MostRows) length /= 2;
        var made = new List<PagedTile>();
        int row = 0, table = 0;
        foreach (PagedSequence sequence in tokens.Sequences)
        {
            int first = made.Count;
            for (int position = sequence.Position; position < sequence.Length;)
            {
                int end = Math.Min(sequence.Length, (position / length + 1) * length);
                made.Add(new PagedTile(row, end - position, position, table, IsWhole: false));
                row += end - position;
                position = end;
            }
            if (made.Count == first + 1) made[first] = made[first] with { IsWhole = true };
            table += sequence.Pages.Count;
        }
        // The longest first: the threads end at the same time.
        return [.. made.OrderByDescending(tile => tile.Tokens * (long)(tile.Position + tile.Tokens))];
    }

    private Tensor Plain(Tensor query, Tensor key, Tensor value, int layer, AttentionRule rule)
    {
        using var scope = NewDisposeScope();
        var mixed = new List<Tensor>();
        int row = 0;
        foreach (PagedSequence sequence in tokens.Sequences)
        {
            int count = sequence.Tokens.Count;
            // [tokens, heads, 1, dimension] to [1, heads, tokens, dimension]
            Tensor Own(Tensor heads) => heads.narrow(0, row, count).permute(2, 1, 0, 3);
            (Tensor keys, Tensor values) = Seen(sequence, Own(key)[0], Own(value)[0], layer);
            Tensor? mask = Mask(sequence, rule.Window, query.device);
            mixed.Add(Attention.Masked(
                Own(query), keys.unsqueeze(0), values.unsqueeze(0), mask, causal: mask is null && count > 1, rule)[0]);
            row += count;
        }
        return cat(mixed).unsqueeze(1).MoveToOuterDisposeScope();
    }

    // Writes the new keys and values, [heads, new, dimension], and gives those of all positions.
    private (Tensor Keys, Tensor Values) Seen(PagedSequence sequence, Tensor key, Tensor value, int layer)
    {
        var keys = new List<Tensor>();
        var values = new List<Tensor>();
        for (int start = 0; start < sequence.Length; start += KeyValuePages.PageLength)
        {
            (Tensor pageKeys, Tensor pageValues) =
                pages.Layer(sequence.Pages[start / KeyValuePages.PageLength], layer);
            Tensor heads = pageKeys.transpose(1, 2); // [heads, positions, dimension]
            int end = Math.Min(sequence.Length, start + KeyValuePages.PageLength),
                first = Math.Max(start, sequence.Position);
            if (first < end)
            {
                heads.narrow(1, first - start, end - first)
                    .copy_(key.narrow(1, first - sequence.Position, end - first));
                pageValues.narrow(1, first - start, end - first)
                    .copy_(value.narrow(1, first - sequence.Position, end - first));
            }
            keys.Add(heads.narrow(1, 0, end - start));
            values.Add(pageValues.narrow(1, 0, end - start));
        }
        return (cat(keys, 1), cat(values, 1));
    }

    // Null for plain causal attention or attention to everything.
    private static Tensor? Mask(PagedSequence sequence, int? window, Device device)
    {
        bool isWindowed = window < sequence.Length;
        if (!isWindowed && (sequence.Position == 0 || sequence.Tokens.Count == 1)) return null;
        Tensor query = Indices(sequence.Position, sequence.Length, device: device).unsqueeze(1),
            key = Indices(0, sequence.Length, device: device).unsqueeze(0);
        Tensor visible = key <= query; // [queries, keys]
        if (isWindowed) visible = visible & (key > query - Number(window!.Value));
        return zeros(visible.shape, ScalarType.Float32, device).masked_fill_(
            visible.logical_not(), Number(double.NegativeInfinity));
    }
}
