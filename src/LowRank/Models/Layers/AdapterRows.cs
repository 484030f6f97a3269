using LowRank.Kernels;

namespace LowRank.Models.Layers;

/// <summary>Which adapters the rows of a batch have, for all layers of a model at once.</summary>
/// <remarks>Rows with the same adapters lie side by side: a segment. A layer multiplies the base with all rows at once,
/// and then each segment with its thin pair (Punica's SGMV, arXiv 2310.18547, section 4).</remarks>
internal sealed class AdapterRows
{
    private IReadOnlyList<RowSegment> segments = [];

    /// <summary>The segments, which cover the rows in order.</summary>
    public IReadOnlyList<RowSegment> Segments
    {
        get => segments;
        set
        {
            segments = value;
            Count = value.Sum(segment => segment.Count);
        }
    }

    /// <summary>Number of rows.</summary>
    public int Count { get; private set; }

    /// <summary>The segments of rows that each have their adapters; neighbours with the same ones share a
    /// segment.</summary>
    public static IReadOnlyList<RowSegment> Of(IEnumerable<IRowAdapters?> rows)
    {
        List<RowSegment> found = [];
        foreach (IRowAdapters? adapters in rows)
            if (found.Count > 0 && ReferenceEquals(found[^1].Adapters, adapters))
                found[^1] = found[^1] with { Count = found[^1].Count + 1 };
            else
                found.Add(new RowSegment(found.Count == 0 ? 0 : found[^1].First + found[^1].Count, 1, adapters));
        return found;
    }

    /// <summary>Lets some of the rows pass, some of them perhaps more than once, until the result is disposed
    /// of.</summary>
    /// <param name="chosen">The numbers of the rows.</param>
    public IDisposable Select(IEnumerable<int> chosen)
    {
        IReadOnlyList<RowSegment> before = Segments;
        IRowAdapters?[] rows =
            [.. before.SelectMany(segment => Enumerable.Repeat(segment.Adapters, segment.Count))];
        Segments = Of(chosen.Select(row => rows[row]));
        return new Selection(this, before);
    }

    private sealed class Selection(AdapterRows rows, IReadOnlyList<RowSegment> before) : IDisposable
    {
        public void Dispose() => rows.Segments = before;
    }
}

/// <summary>Neighbouring rows of a batch with the same adapters.</summary>
/// <param name="First">The first row.</param>
/// <param name="Count">Number of rows.</param>
/// <param name="Adapters">Their adapters; null for the base alone.</param>
internal sealed record RowSegment(int First, int Count, IRowAdapters? Adapters);

/// <summary>The adapters of some rows.</summary>
internal interface IRowAdapters
{
    /// <summary>Those in a layer's slot, lowest first, ready to be used; often none.</summary>
    IReadOnlyList<ISlotAdapter> In(AdapterSlot slot);

    /// <summary>The pair that is all they add to a layer outside training; null if they do more, or nothing.</summary>
    LowRankPair? PairIn(AdapterSlot slot);
}
