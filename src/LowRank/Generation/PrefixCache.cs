using LowRank.Models;

namespace LowRank.Generation;

/// <summary>Keeps the keys and values of a text that is continued repeatedly, such as a conversation: the common
/// beginning of the next prompt is not computed again.</summary>
/// <remarks>Valid for one model: after its adapters or weights change, call <see cref="Clear"/>. Not thread-safe;
/// dispose of it after use.</remarks>
internal sealed class PrefixCache : IDisposable
{
    private readonly List<int> held = []; // the tokens whose keys and values are cached
    private KeyValueCache? cache;

    /// <summary>Number of tokens of the last prompt that were reused.</summary>
    public int Reused { get; private set; }

    /// <summary>Clears the cache and frees its memory.</summary>
    public void Clear()
    {
        held.Clear();
        cache?.Dispose();
        (cache, Reused) = (null, 0);
    }

    /// <inheritdoc/>
    public void Dispose() => Clear();

    /// <summary>Returns a cache with a proper prefix of the prompt.</summary>
    internal KeyValueCache Prepare(Decoder model, int[] prompt)
    {
        // The last token is always computed, because the next token is chosen from its state.
        Reused = cache is null || TurnsAnew(model.Shape, prompt.Length) ? 0
            : Math.Min(held.ToArray().AsSpan().CommonPrefixLength(prompt), prompt.Length - 1);
        held.RemoveRange(Reused, held.Count - Reused);
        cache ??= new KeyValueCache(model.Shape, 1, int.MaxValue, model.Device); // grows with the text
        cache.Keep(Reused);
        return cache;
    }

    /// <summary>Records tokens that the model has added to the cache.</summary>
    internal void Add(ReadOnlySpan<int> tokens) => held.AddRange(tokens);

    // If rotation angles depend on the text's length, keys computed at one length are invalid for a longer text.
    private static bool TurnsAnew(DecoderShape shape, int length) => new[] { shape.Rope, shape.LocalRope }.Any(rope =>
        length > (rope?.Type == "dynamic" ? rope.MaxPositions : rope?.TurnsAnewBeyond ?? int.MaxValue));
}
