using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models;

/// <summary>The keys and values of the positions a model has seen, so that each further token costs one position.</summary>
/// <remarks>Memory: 2 · layers · batch · key-value heads · capacity · head dimension · 4 bytes, allocated at once.
/// Belongs to one sequence batch and one thread; dispose of it after use.</remarks>
public sealed class KeyValueCache : IDisposable
{
    private readonly Tensor[] keys;   // a layer each: [batch, key-value heads, capacity, head dimension]
    private readonly Tensor[] values;

    /// <summary>Allocates room for <paramref name="capacity"/> positions of each row.</summary>
    public KeyValueCache(DecoderShape shape, int batch, int capacity, Device device)
    {
        Capacity = capacity;
        long[] size = [batch, shape.KeyValueHeads, capacity, shape.HeadDimension];
        keys = Allocate(shape.Layers, size, device);
        values = Allocate(shape.Layers, size, device);
    }

    /// <summary>Positions there is room for.</summary>
    public int Capacity { get; }

    /// <summary>Positions held.</summary>
    public int Length { get; private set; }

    /// <summary>How many padding positions each row begins with, [batch]; null when none does.</summary>
    internal Tensor? LeftPadding { get; private set; }

    /// <summary>Which positions are not padding, [batch, length so far] of truth values; null when none is.</summary>
    internal Tensor? KeyMask { get; private set; }

    /// <summary>Checks that further positions fit.</summary>
    /// <exception cref="InvalidOperationException">They do not; nothing has been added.</exception>
    internal void RequireRoom(long added)
    {
        if (Length + added > Capacity)
            throw new InvalidOperationException($"The cache has {Length} positions and room for {Capacity}; {added} more do not fit. Make it for prompt and new tokens together.");
    }

    /// <summary>Adds a layer's keys and values of new positions and returns those of all positions.</summary>
    /// <param name="layer">The layer's number.</param>
    /// <param name="key">[batch, key-value heads, new positions, head dimension]</param>
    /// <param name="value">as <paramref name="key"/></param>
    internal (Tensor Keys, Tensor Values) Append(int layer, Tensor key, Tensor value)
    {
        long added = key.shape[2];
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
        LeftPadding = leftPadding.alias().DetachFromDisposeScope();
        ExtendKeyMask(keyMask);
    }

    /// <summary>Replaces the mask of keys by one that covers the new positions too.</summary>
    internal void ExtendKeyMask(Tensor keyMask)
    {
        Tensor? before = KeyMask;
        KeyMask = keyMask.alias().DetachFromDisposeScope();
        before?.Dispose();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Tensor tensor in keys.Concat(values)) tensor.Dispose();
        LeftPadding?.Dispose();
        KeyMask?.Dispose();
    }

    private static Tensor[] Allocate(int layers, long[] size, Device device) =>
        [.. Enumerable.Range(0, layers).Select(_ => zeros(size, device: device).DetachFromDisposeScope())];
}
