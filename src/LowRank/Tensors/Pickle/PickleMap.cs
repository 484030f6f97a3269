namespace LowRank.Tensors.Pickle;

/// <summary>A dictionary of a pickle, in its order.</summary>
internal sealed class PickleMap
{
    /// <summary>Keys and values; a key may be any value.</summary>
    public List<(object? Key, object? Value)> Entries { get; } = [];
}
