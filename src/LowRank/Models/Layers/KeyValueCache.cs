using LowRank.Kernels;
using static TorchSharp.torch;

namespace LowRank.Models;

/// <summary>The keys and values of positions that the model has processed, so that each new token costs only one
/// position.</summary>
/// <remarks>Memory: 2 · layers · batch · key-value heads · positions · head dimension · 4 bytes, for the positions held
/// plus at most half as many again (at least 256): it grows with the text, up to the capacity. A cache belongs to one
/// batch of sequences and one thread; dispose of it after use.</remarks>
internal sealed class KeyValueCache : IDisposable
{
    private const int Block = 256;
    private readonly Tensor[] keys;   // a layer each: [batch, key-value heads, allocated, head dimension]
    private readonly Tensor[] values;
    private long[] paddingCounts = []; // LeftPadding, at hand
    private bool paddingIsLeft;

    /// <summary>A cache that holds up to <paramref name="capacity"/> positions of each row.</summary>
    public KeyValueCache(DecoderShape shape, int batch, int capacity, Device device)
        : this(shape.Layers, shape.KeyValueHeads, shape.KeyDimension, batch, capacity, device)
    {
    }

    /// <summary>A cache that holds up to <paramref name="capacity"/> positions of each row, for given numbers of layers
    /// and heads.</summary>
    public KeyValueCache(int layers, int heads, int headDimension, int batch, int capacity, Device device)
    {
        Capacity = capacity;
        Allocated = Math.Min(capacity, Block);
        long[] size = [batch, heads, Allocated, headDimension];
        keys = Allocate(layers, size, device);
        values = Allocate(layers, size, device);
    }

    /// <summary>The maximum number of positions.</summary>
    public int Capacity { get; }

    /// <summary>The number of positions with allocated memory.</summary>
    internal int Allocated { get; private set; }

    /// <summary>The number of positions held.</summary>
    public int Length { get; private set; }

    /// <summary>Number of padding positions at the start of each row, [batch]; null without padding.</summary>
    internal Tensor? LeftPadding { get; private set; }

    /// <summary>Which of the prompt's positions are not padding, [batch, prompt], booleans; null without padding. Later
    /// positions are never padding.</summary>
    internal Tensor? KeyMask { get; private set; }

    /// <summary>Whether all padding, if any, is on the left.</summary>
    internal bool PaddingIsLeft => KeyMask is null || paddingIsLeft;

    /// <summary>Number of padding positions at the start of a row.</summary>
    internal int PaddingOf(int row) => KeyMask is null ? 0 : (int)paddingCounts[row];

    /// <summary>The keys and values of a layer, [batch, key-value heads, allocated, head dimension] each.</summary>
    internal (Tensor Keys, Tensor Values) Layer(int layer) => (keys[layer], values[layer]);

    /// <summary>Each layer's keys and values of a prompt adapter's positions before the text; null if there are
    /// none.</summary>
    internal IReadOnlyList<(Tensor Keys, Tensor Values)>? Prompt { get; private set; }

    /// <summary>Keeps a prompt's keys and values for later steps.</summary>
    internal void RememberPrompt(IReadOnlyList<(Tensor Keys, Tensor Values)> prompt) =>
        Prompt =
            [.. prompt.Select(
                layer => (layer.Keys.detach().DetachFromDisposeScope(),
                layer.Values.detach().DetachFromDisposeScope()))];

    /// <summary>Reserves space for more positions.</summary>
    /// <exception cref="InvalidOperationException">They exceed the capacity; nothing has been added.</exception>
    internal void RequireRoom(long added)
    {
        if (Length + added > Capacity)
            throw new InvalidOperationException(
                $"The cache has {Length} positions and room for {Capacity}; {added} more do not fit. Make it for " +
                "prompt and new tokens together.");
        if (Length + added > Allocated) Grow((int)(Length + added));
    }

    /// <summary>Appends a layer's keys and values of new positions and returns those of all positions.</summary>
    /// <param name="layer">The layer's index.</param>
    /// <param name="key">[batch, key-value heads, new positions, head dimension]</param>
    /// <param name="value">Same shape as <paramref name="key"/>.</param>
    internal (Tensor Keys, Tensor Values) Append(int layer, Tensor key, Tensor value)
    {
        RequireRoom(key.shape[2]);
        return Attention.Append(key, value, Layer(layer), Length);
    }

    /// <summary>Makes room for the first texts, one per row; shorter ones begin later, so that all end at the same
    /// position.</summary>
    /// <param name="lengths">Number of tokens of each row's text.</param>
    internal void BeginTexts(IReadOnlyList<int> lengths)
    {
        int longest = lengths.Max();
        RequireRoom(longest);
        if (lengths.All(length => length == longest)) return;
        using var scope = NewDisposeScope();
        Device device = keys[0].device;
        Tensor left = tensor(lengths.Select(length => (long)longest - length).ToArray(), device: device);
        RememberPadding(left, Indices(0, longest, device: device).unsqueeze(0) >= left.unsqueeze(1));
    }

    /// <summary>Writes a layer's keys and values of texts packed into one row, each to the cache's row of its own,
    /// where <see cref="BeginTexts"/> put it.</summary>
    /// <param name="layer">The layer's index.</param>
    /// <param name="key">[1, key-value heads, tokens, head dimension]</param>
    /// <param name="value">Same shape as <paramref name="key"/>.</param>
    /// <param name="texts">The row and the number of tokens of each text, in order.</param>
    /// <param name="end">The position after the last one of every text.</param>
    internal void Place(int layer, Tensor key, Tensor value, IReadOnlyList<(int Row, int Length)> texts, int end)
    {
        using var scope = NewDisposeScope();
        int token = 0;
        foreach ((int row, int length) in texts)
        {
            keys[layer][row].narrow(1, end - length, length).copy_(key[0].narrow(1, token, length));
            values[layer][row].narrow(1, end - length, length).copy_(value[0].narrow(1, token, length));
            token += length;
        }
    }

    /// <summary>Counts new positions after every layer has appended them.</summary>
    internal void Advance(int added) => Length += added;

    /// <summary>Keeps a prompt's padding for later steps.</summary>
    internal void RememberPadding(Tensor leftPadding, Tensor keyMask)
    {
        LeftPadding?.Dispose();
        KeyMask?.Dispose();
        LeftPadding = leftPadding.alias().DetachFromDisposeScope();
        KeyMask = keyMask.alias().DetachFromDisposeScope();
        paddingCounts = leftPadding.cpu().data<long>().ToArray();
        paddingIsLeft = paddingCounts.Sum() + keyMask.sum().item<long>() == keyMask.numel();
    }

    /// <summary>Discards all but the first positions, so that different ones can follow; only for rows without
    /// padding.</summary>
    internal void Keep(int length)
    {
        if (length < 0 || length > Length)
            throw new ArgumentOutOfRangeException(nameof(length), length, $"The cache holds {Length} positions.");
        if (KeyMask is not null)
            throw new InvalidOperationException(
                "The rows begin with padding, which their first positions alone do not tell.");
        Length = length;
    }

    /// <summary>Discards all rows but some, which keep their order.</summary>
    /// <param name="rows">The numbers of the rows that stay.</param>
    internal void KeepRows(IReadOnlyList<int> rows)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        Tensor chosen = tensor(rows.Select(row => (long)row).ToArray(), device: keys[0].device);
        Tensor Chosen(Tensor old)
        {
            Tensor left = old.index_select(0, chosen).DetachFromDisposeScope();
            old.Dispose();
            return left;
        }
        foreach (Tensor[] tensors in new[] { keys, values })
            for (int layer = 0; layer < tensors.Length; layer++) tensors[layer] = Chosen(tensors[layer]);
        if (LeftPadding is null || KeyMask is null) return;
        (LeftPadding, KeyMask) = (Chosen(LeftPadding), Chosen(KeyMask));
        paddingCounts = [.. rows.Select(row => paddingCounts[row])];
    }

    /// <summary>Discards all positions.</summary>
    internal void Clear()
    {
        LeftPadding?.Dispose();
        KeyMask?.Dispose();
        ForgetPrompt();
        (LeftPadding, KeyMask, Length) = (null, null, 0);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Tensor tensor in keys.Concat(values)) tensor.Dispose();
        LeftPadding?.Dispose();
        KeyMask?.Dispose();
        ForgetPrompt();
    }

    private void ForgetPrompt()
    {
        foreach ((Tensor promptKeys, Tensor promptValues) in Prompt ?? [])
        {
            promptKeys.Dispose();
            promptValues.Dispose();
        }
        Prompt = null;
    }

    // Grows by half, so a text's positions are copied about twice in total.
    private void Grow(int needed)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        Allocated = (int)Math.Min(Capacity, Math.Max(needed, Allocated + (long)Math.Max(Block, Allocated / 2)));
        foreach (Tensor[] tensors in new[] { keys, values })
            for (int layer = 0; layer < tensors.Length; layer++)
            {
                using Tensor old = tensors[layer];
                long[] size = old.shape;
                size[2] = Allocated;
                tensors[layer] = zeros(size, device: old.device).DetachFromDisposeScope();
                tensors[layer].narrow(2, 0, Length).copy_(old.narrow(2, 0, Length));
            }
    }

    private static Tensor[] Allocate(int layers, long[] size, Device device) =>
        [.. Enumerable.Range(0, layers).Select(_ => zeros(size, device: device).DetachFromDisposeScope())];
}
