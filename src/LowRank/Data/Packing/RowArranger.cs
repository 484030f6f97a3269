namespace LowRank.Data.Packing;

/// <summary>Arranges rows of next-token prediction: little padding or none, equal prompts together, micro-batches alike in size.</summary>
/// <param name="batching">How.</param>
/// <param name="isFree">Whether a row of a length computes the same beside any other; rows that do not are left where they are.</param>
public sealed class RowArranger(RowBatching batching, Func<int, bool> isFree) : IRowArranger
{
    /// <inheritdoc/>
    public int[] Order(IReadOnlyList<IExample> examples, int[] drawn) =>
        batching.Shares && batching.SharePrompts == PromptSharing.Grouped
            ? [.. drawn.GroupBy(row => (TokenizedExample)examples[row], PromptComparer.Instance).SelectMany(group => group)]
            : drawn;

    /// <inheritdoc/>
    public IReadOnlyList<IReadOnlyList<IExample>> MicroBatches(IReadOnlyList<IExample> rows, int batchSize)
    {
        bool free = rows.All(row => isFree(row.Length));
        if (batching.BatchTokens is { } most)
            return free && batching.Packing ? Fitting(rows, most) : InTurn(free ? [.. rows.OrderByDescending(row => row.Length)] : rows, most);
        if (rows.Count <= batchSize) return [rows];
        if (!free) return [.. rows.Chunk(batchSize)];
        return batching.Packing ? Balanced(rows, batchSize) : [.. rows.OrderByDescending(row => row.Length).Chunk(batchSize)];
    }

    /// <inheritdoc/>
    public IReadOnlyList<IReadOnlyList<IExample>> EvaluationBatches(IReadOnlyList<IExample> rows, int batchSize)
    {
        IEnumerable<IExample> byLength = rows.OrderByDescending(row => row.Length);
        return batching.Shares && rows.All(row => isFree(row.Length))
            ? [.. Units(byLength).SelectMany(unit => unit).Chunk(batchSize).OrderByDescending(Positions)]
            : [.. byLength.Chunk(batchSize)];
    }

    /// <inheritdoc/>
    public long Positions(IReadOnlyList<IExample> rows)
    {
        TokenizedExample[] examples = [.. rows.Cast<TokenizedExample>()];
        return batching.Packing && rows.Count > 1 && rows.All(row => isFree(row.Length))
            ? PackedRows.Count(examples.Where(row => row.IsWhole), batching.Shares) + Padded([.. examples.Where(row => !row.IsWhole)])
            : Padded(rows);
    }

    private static long Padded(IReadOnlyList<IExample> rows) => rows.Count == 0 ? 0 : RowsInOrder.Instance.Positions(rows);

    // Rows that are best computed together.
    private IEnumerable<IExample[]> Units(IEnumerable<IExample> rows) => batching.Shares
        ? rows.Cast<TokenizedExample>().GroupBy(row => row, PromptComparer.Instance).Select(group => group.ToArray<IExample>())
        : rows.Select(row => new[] { row });

    // As many micro-batches as without arranging; the largest units first, each to where least has come so far.
    private IReadOnlyList<IReadOnlyList<IExample>> Balanced(IReadOnlyList<IExample> rows, int batchSize)
    {
        Bin[] bins = [.. Enumerable.Range(0, (rows.Count + batchSize - 1) / batchSize).Select(_ => new Bin())];
        foreach (IExample[] unit in Units(rows).OrderByDescending(Positions))
        {
            for (int placed = 0; placed < unit.Length;)
            {
                int left = unit.Length - placed;
                Bin? whole = bins.Where(bin => bin.Rows.Count + left <= batchSize).MinBy(bin => bin.Positions);
                Bin into = whole ?? bins.MinBy(bin => bin.Rows.Count)!;
                IExample[] part = [.. unit.Skip(placed).Take(batchSize - into.Rows.Count)];
                into.Add(part, Positions(part));
                placed += part.Length;
            }
        }
        return [.. bins.Select(bin => bin.Rows)];
    }

    // Best fit decreasing: each unit to the fullest micro-batch that has room for it.
    private IReadOnlyList<IReadOnlyList<IExample>> Fitting(IReadOnlyList<IExample> rows, int most)
    {
        var bins = new List<Bin>();
        foreach (IExample[] unit in Units(rows).SelectMany(unit => Parts(unit, most)).OrderByDescending(Positions))
        {
            long positions = Positions(unit);
            Bin? into = bins.Where(bin => bin.Positions + positions <= most).MaxBy(bin => bin.Positions);
            if (into is null) bins.Add(into = new Bin());
            into.Add(unit, positions);
        }
        return [.. bins.Select(bin => bin.Rows)];
    }

    private List<IExample[]> Parts(IExample[] unit, int most)
    {
        if (Positions(unit) <= most) return [unit];
        return [.. InTurn(unit, most).Select(part => part.ToArray())];
    }

    private List<List<IExample>> InTurn(IReadOnlyList<IExample> rows, int most)
    {
        var batches = new List<List<IExample>>();
        foreach (IExample row in rows)
        {
            if (batches.Count > 0 && Positions([.. batches[^1], row]) <= most) batches[^1].Add(row);
            else batches.Add([row]);
        }
        return batches;
    }

    private sealed class Bin
    {
        public List<IExample> Rows { get; } = [];

        public long Positions { get; private set; }

        public void Add(IReadOnlyList<IExample> rows, long positions)
        {
            Rows.AddRange(rows);
            Positions += positions;
        }
    }
}
