using LowRank.Kernels;
using LowRank.Models.Layers;

namespace LowRank.Adapters;

/// <summary>Adapters of one model with the factors of their changes, for some rows of a batch. Belongs to the model's
/// thread.</summary>
internal sealed class AdapterMix : IRowAdapters
{
    private readonly Dictionary<AdapterSlot, Entry> bySlot = [];

    /// <summary>Puts adapters on each other.</summary>
    /// <param name="adapters">The adapters with their factors, lowest first; not attached.</param>
    /// <exception cref="InputException">One cannot differ between the rows of a batch, or takes no factor.</exception>
    public AdapterMix(IReadOnlyList<(Adapter Adapter, double Weight)> adapters)
    {
        foreach ((Adapter adapter, double weight) in adapters)
        {
            adapter.Weight = weight; // refused where it has no meaning
            adapter.Weight = 1;
        }
        foreach (IGrouping<AdapterSlot, (IAdapterLayer, double)> layer in adapters
            .SelectMany(one => one.Adapter.Parts.OfType<AdaptedLayer>()
            .Select(part => (part.Base.Slot, part.Layer, one.Weight)))
            .GroupBy(one => one.Slot, one => (one.Layer, one.Weight)))
            bySlot.Add(layer.Key, new Entry([.. layer]));
    }

    /// <summary>Why an adapter can be used for whole batches alone; null if each row may have its own.</summary>
    public static string? Refusal(Adapter adapter) =>
        adapter.Parts.FirstOrDefault(part => part is not (AdaptedLayer or IFrozenPart)) is not { } whole ? null
            : $"{(whole is TrainedParameter weight ? $"replaces {weight.Name} whole"
                : "puts a prompt before the text")}, which cannot differ between the rows of a batch";

    /// <inheritdoc/>
    public IReadOnlyList<ISlotAdapter> In(AdapterSlot slot)
    {
        if (!bySlot.TryGetValue(slot, out Entry? entry)) return [];
        // The same adapter may have another factor in other rows.
        foreach ((IAdapterLayer layer, double weight) in entry.Layers)
            if (layer.Weight != weight) layer.Weight = weight;
        return entry.Nested;
    }

    /// <inheritdoc/>
    public LowRankPair? PairIn(AdapterSlot slot) => bySlot.TryGetValue(slot, out Entry? entry) ? entry.Pair : null;

    private sealed class Entry((IAdapterLayer Layer, double Weight)[] layers)
    {
        public (IAdapterLayer Layer, double Weight)[] Layers => layers;

        public ISlotAdapter[] Nested { get; } = [.. layers.Select(layer => layer.Layer)];

        public LowRankPair? Pair { get; } = layers is [(ILowRankAdapter { Pair: { } pair }, double weight)]
            ? LowRankPair.Of(pair.A, pair.B, pair.Scale * weight) : null;
    }
}
