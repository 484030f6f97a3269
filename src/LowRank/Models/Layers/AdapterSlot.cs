using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>The place of a layer where adapters sit. Several nest: each changes what those below it compute.</summary>
/// <param name="path">The layer's path, for messages.</param>
/// <param name="inner">What the layer computes alone.</param>
public sealed class AdapterSlot(string path, Func<Tensor, Tensor> inner)
{
    private readonly List<ISlotAdapter> adapters = [];
    private IReadOnlyList<IReadOnlyList<ISlotAdapter>>? rows;

    /// <summary>The adapters that take part, the lowest first.</summary>
    public IReadOnlyList<ISlotAdapter> Adapters => adapters;

    /// <summary>Whether the layer computes alone.</summary>
    internal bool IsEmpty => rows is null && adapters.Count == 0;

    /// <summary>The pair, where a single adapter is no more than one and sits upon the base in every row; null otherwise.</summary>
    internal LowRankPair? Pair => rows is null && adapters is [ILowRankChange change] ? change.Pair : null;

    /// <summary>Puts an adapter above those that are there.</summary>
    /// <exception cref="InvalidOperationException">It is there already.</exception>
    public void Attach(ISlotAdapter adapter)
    {
        if (adapters.Contains(adapter)) throw new InvalidOperationException($"The adapter is attached to {path} already.");
        adapters.Add(adapter);
    }

    /// <summary>Takes an adapter out; nothing happens where it is not there.</summary>
    public void Detach(ISlotAdapter adapter) => adapters.Remove(adapter);

    /// <summary>Gives each row of the next batches adapters of its own instead of the attached ones; null ends that.</summary>
    /// <param name="byRow">For each row its adapters, the lowest first; the rows of one adapter share one list.</param>
    internal void AssignRows(IReadOnlyList<IReadOnlyList<ISlotAdapter>>? byRow) => rows = byRow;

    /// <summary>The layer's output through its adapters.</summary>
    /// <param name="input">[batch, …]</param>
    /// <param name="dropout">The generator for dropout while training; null in evaluation.</param>
    public Tensor Forward(Tensor input, Generator? dropout)
    {
        if (rows is not null) return ForwardRows(input, dropout);
        return adapters.Count switch
        {
            0 => inner(input),
            1 => adapters[0].Forward(input, inner, dropout),
            _ => Nested(adapters, adapters.Count, input, inner, dropout),
        };
    }

    private static Tensor Nested(IReadOnlyList<ISlotAdapter> nested, int count, Tensor input, Func<Tensor, Tensor> lowest, Generator? dropout) => count == 0
        ? lowest(input)
        : nested[count - 1].Forward(input, x => Nested(nested, count - 1, x, lowest, dropout), dropout);

    // The base is computed once for the whole batch; an adapter that changes the input asks for its rows again.
    private Tensor ForwardRows(Tensor input, Generator? dropout)
    {
        if (input.shape[0] != rows!.Count)
            throw new InputException($"{path}: the batch has {input.shape[0]} rows here, but adapters were assigned to {rows.Count}. " +
                "Adapters by row need a name for each row, and layers that keep rows apart: a mixture of experts does not.");
        Tensor all = inner(input);
        Tensor result = all;
        foreach (IGrouping<IReadOnlyList<ISlotAdapter>, int> group in Enumerable.Range(0, rows.Count).GroupBy(row => rows[row]))
        {
            if (group.Key.Count == 0) continue;
            Tensor chosen = tensor(group.Select(row => (long)row).ToArray(), device: input.device);
            Tensor part = input.index_select(0, chosen), below = all.index_select(0, chosen);
            Tensor changed = Nested(group.Key, group.Key.Count, part, x => ReferenceEquals(x, part) ? below : inner(x), dropout);
            result = result.index_copy(0, chosen, changed);
        }
        return result;
    }
}
