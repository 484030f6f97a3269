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
    private long[] paddingCounts = []; // LeftPadding, at hand
    private bool paddingIsLeft;

    /// <summary>Allocates room for <paramref name="capacity"/> positions of each row.</summary>
    public KeyValueCache(DecoderShape shape, int batch, int capacity, Device device)
        : this(shape.Layers, shape.KeyValueHeads, shape.HeadDimension, batch, capacity, device)
    {
    }

    /// <summary>Allocates room for <paramref name="capacity"/> positions of each row, in so many layers and heads.</summary>
    public KeyValueCache(int layers, int heads, int headDimension, int batch, int capacity, Device device)
    {
        Capacity = capacity;
        long[] size = [batch, heads, capacity, headDimension];
        keys = Allocate(layers, size, device);
        values = Allocate(layers, size, device);
    }

    /// <summary>Positions there is room for.</summary>
    public int Capacity { get; }

    /// <summary>Positions held.</summary>
    public int Length { get; private set; }

    /// <summary>How many padding positions each row begins with, [batch]; null when none does.</summary>
    internal Tensor? LeftPadding { get; private set; }

    /// <summary>Which of the prompt's positions are not padding, [batch, prompt] of truth values; null when none is. Later
    /// positions never are.</summary>
    internal Tensor? KeyMask { get; private set; }

    /// <summary>Whether padding, where there is any, stands on the left alone.</summary>
    internal bool PaddingIsLeft => KeyMask is null || paddingIsLeft;

    /// <summary>How many padding positions a row begins with.</summary>
    internal int PaddingOf(int row) => KeyMask is null ? 0 : (int)paddingCounts[row];

    /// <summary>The keys and values of a layer, [batch, key-value heads, capacity, head dimension] each.</summary>
    internal (Tensor Keys, Tensor Values) Layer(int layer) => (keys[layer], values[layer]);

    /// <summary>Keys and values of a prompt adapter's positions before the text, a layer each; null where there are none.</summary>
    internal IReadOnlyList<(Tensor Keys, Tensor Values)>? Prompt { get; private set; }

    /// <summary>Keeps a prompt's keys and values for the steps that follow.</summary>
    internal void RememberPrompt(IReadOnlyList<(Tensor Keys, Tensor Values)> prompt) =>
        Prompt = [.. prompt.Select(layer => (layer.Keys.detach().DetachFromDisposeScope(), layer.Values.detach().DetachFromDisposeScope()))];

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
        KeyMask?.Dispose();
        LeftPadding = leftPadding.alias().DetachFromDisposeScope();
        KeyMask = keyMask.alias().DetachFromDisposeScope();
        paddingCounts = leftPadding.cpu().data<long>().ToArray();
        paddingIsLeft = paddingCounts.Sum() + keyMask.sum().item<long>() == keyMask.numel();
    }

    /// <summary>Forgets all but the first positions, so that what follows them may differ; for rows without padding.</summary>
    internal void Keep(int length)
    {
        if (length < 0 || length > Length) throw new ArgumentOutOfRangeException(nameof(length), length, $"The cache holds {Length} positions.");
        if (KeyMask is not null) throw new InvalidOperationException("The rows begin with padding, which their first positions alone do not tell.");
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

    /// <summary>Copies the positions that another cache of the same shape holds; for rows without padding.</summary>
    internal void CopyFrom(KeyValueCache other)
    {
        if (other.KeyMask is not null) throw new InvalidOperationException("The rows begin with padding, which their positions alone do not tell.");
        if (other.Length > Capacity) throw new ArgumentException($"The other cache holds {other.Length} positions; there is room for {Capacity}.", nameof(other));
        using var scope = NewDisposeScope();
        if (other.Prompt is { } prompt) RememberPrompt([.. prompt.Select(layer => (layer.Keys.clone(), layer.Values.clone()))]);
        foreach ((Tensor to, Tensor from) in keys.Concat(values).Zip(other.keys.Concat(other.values)))
            to.narrow(2, 0, other.Length).copy_(from.narrow(2, 0, other.Length));
        Length = other.Length;
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

    private static Tensor[] Allocate(int layers, long[] size, Device device) =>
        [.. Enumerable.Range(0, layers).Select(_ => zeros(size, device: device).DetachFromDisposeScope())];
}
