using LowRank.Models;

namespace LowRank.Generation;

/// <summary>Keeps the keys and values of a text that is continued again and again, such as a conversation: what the
/// next prompt begins with in common is not computed again.</summary>
/// <remarks>For one model as it is: after its adapters or weights change, call <see cref="Clear"/>. Belongs to one
/// thread; dispose of it after use.</remarks>
public sealed class PrefixCache : IDisposable
{
    private readonly List<int> held = []; // the tokens whose keys and values the cache has
    private KeyValueCache? cache;

    /// <summary>The tokens of the last prompt that were not computed again.</summary>
    public int Reused { get; private set; }

    /// <summary>Forgets everything and frees the memory.</summary>
    public void Clear()
    {
        held.Clear();
        cache?.Dispose();
        (cache, Reused) = (null, 0);
    }

    /// <inheritdoc/>
    public void Dispose() => Clear();

    /// <summary>A cache that holds a proper prefix of the prompt.</summary>
    internal KeyValueCache Prepare(Decoder model, int[] prompt)
    {
        // The last token is always computed: its state is what the next one is chosen from.
        Reused = cache is null || TurnsAnew(model.Shape, prompt.Length) ? 0
            : Math.Min(held.ToArray().AsSpan().CommonPrefixLength(prompt), prompt.Length - 1);
        held.RemoveRange(Reused, held.Count - Reused);
        cache ??= new KeyValueCache(model.Shape, 1, int.MaxValue, model.Device); // it grows with the text
        cache.Keep(Reused);
        return cache;
    }

    /// <summary>Notes tokens that the model has added to the cache.</summary>
    internal void Add(ReadOnlySpan<int> tokens) => held.AddRange(tokens);

    // Where angles depend on the length of the text, keys made at one length do not fit those of a longer one.
    private static bool TurnsAnew(DecoderShape shape, int length) => new[] { shape.Rope, shape.LocalRope }.Any(rope =>
        length > (rope?.Type == "dynamic" ? rope.MaxPositions : rope?.TurnsAnewBeyond ?? int.MaxValue));
}
