using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models;

/// <summary>The keys and values of the positions a model has seen, so that each further token costs one
/// position.</summary>
/// <remarks>Memory: 2 · layers · batch · key-value heads · positions · head dimension · 4 bytes, for the positions that
/// are held and at most half as many again (256 at least): it grows with the text, up to the capacity. Belongs to one
/// sequence batch and one thread; dispose of it after use.</remarks>
public sealed class KeyValueCache : IDisposable
{
    private const int Block = 256;
    private readonly Tensor[] keys;   // a layer each: [batch, key-value heads, allocated, head dimension]
    private readonly Tensor[] values;
    private long[] paddingCounts = []; // LeftPadding, at hand
    private bool paddingIsLeft;

    /// <summary>A cache that holds up to <paramref name="capacity"/> positions of each row.</summary>
    public KeyValueCache(DecoderShape shape, int batch, int capacity, Device device)
        : this(shape.Layers, shape.KeyValueHeads, shape.HeadDimension, batch, capacity, device)
    {
    }

    /// <summary>A cache that holds up to <paramref name="capacity"/> positions of each row, in so many layers and
    /// heads.</summary>
    public KeyValueCache(int layers, int heads, int headDimension, int batch, int capacity, Device device)
    {
        Capacity = capacity;
        Allocated = Math.Min(capacity, Block);
        long[] size = [batch, heads, Allocated, headDimension];
        keys = Allocate(layers, size, device);
        values = Allocate(layers, size, device);
    }

    /// <summary>Most positions it holds.</summary>
    public int Capacity { get; }

    /// <summary>Positions that there is memory for.</summary>
    internal int Allocated { get; private set; }

    /// <summary>Positions held.</summary>
    public int Length { get; private set; }

    /// <summary>How many padding positions each row begins with, [batch]; null when none does.</summary>
    internal Tensor? LeftPadding { get; private set; }

    /// <summary>Which of the prompt's positions are not padding, [batch, prompt] of truth values; null when none is.
    /// Later positions never are.</summary>
    internal Tensor? KeyMask { get; private set; }

    /// <summary>Whether padding, where there is any, stands on the left alone.</summary>
    internal bool PaddingIsLeft => KeyMask is null || paddingIsLeft;

    /// <summary>How many padding positions a row begins with.</summary>
    internal int PaddingOf(int row) => KeyMask is null ? 0 : (int)paddingCounts[row];

    /// <summary>The keys and values of a layer, [batch, key-value heads, allocated, head dimension] each.</summary>
    internal (Tensor Keys, Tensor Values) Layer(int layer) => (keys[layer], values[layer]);

    /// <summary>Keys and values of a prompt adapter's positions before the text, a layer each; null where there are
    /// none.</summary>
    internal IReadOnlyList<(Tensor Keys, Tensor Values)>? Prompt { get; private set; }

    /// <summary>Keeps a prompt's keys and values for the steps that follow.</summary>
    internal void RememberPrompt(IReadOnlyList<(Tensor Keys, Tensor Values)> prompt) =>
        Prompt =
            [.. prompt.Select(
                layer => (layer.Keys.detach().DetachFromDisposeScope(),
                layer.Values.detach().DetachFromDisposeScope()))];

    /// <summary>Makes room for further positions.</summary>
    /// <exception cref="InvalidOperationException">They do not; nothing has been added.</exception>
    internal void RequireRoom(long added)
    {
        if (Length + added > Capacity)
            throw new InvalidOperationException(
                $"The cache has {Length} positions and room for {Capacity}; {added} more do not fit. Make it for " +
                "prompt and new tokens together.");
        if (Length + added > Allocated) Grow((int)(Length + added));
    }

    /// <summary>Adds a layer's keys and values of new positions and returns those of all positions.</summary>
    /// <param name="layer">The layer's number.</param>
    /// <param name="key">[batch, key-value heads, new positions, head dimension]</param>
    /// <param name="value">as <paramref name="key"/></param>
    internal (Tensor Keys, Tensor Values) Append(int layer, Tensor key, Tensor value)
    {
        long added = key.shape[2];
        RequireRoom(added);
        keys[layer].narrow(2, Length, added).copy_(key);
        values[layer].narrow(2, Length, added).copy_(value);
        return (keys[layer].narrow(2, 0, Length + added), values[layer].narrow(2, 0, Length + added));
    }

    /// <summary>Counts positions in after every layer has appended them.</summary>
    internal void Advance(int added) => Length += added;

    /// <summary>Keeps a prompt's padding for the steps that follow.</summary>
    internal void RememberPadding(Tensor leftPadding, Tensor keyMask)
    {
        LeftPadding?.Dispose();
        KeyMask?.Dispose();
        LeftPadding = leftPadding.alias().DetachFromDisposeScope();
        KeyMask = keyMask.alias().DetachFromDisposeScope();
        paddingCounts = leftPadding.cpu().data<long>().ToArray();
        paddingIsLeft = paddingCounts.Sum() + keyMask.sum().item<long>() == keyMask.numel();
    }

    /// <summary>Forgets all but the first positions, so that what follows them may differ; for rows without
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

    /// <summary>Forgets everything.</summary>
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

    // By half of what there is, so that a text's positions are copied twice or so in all.
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
