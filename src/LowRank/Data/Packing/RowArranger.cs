namespace LowRank.Data.Packing;

/// <summary>Arranges rows of next-token prediction: little padding or none, equal prompts together, micro-batches alike
/// in size.</summary>
/// <param name="batching">How.</param>
/// <param name="isFree">Whether a row of a length computes the same beside any other; rows that do not are left where
/// they are.</param>
public sealed class RowArranger(RowBatching batching, Func<int, bool> isFree) : IRowArranger
{
    /// <inheritdoc/>
    public int[] Order(IReadOnlyList<IExample> examples, int[] drawn) =>
        batching.Shares && batching.SharePrompts == PromptSharing.Grouped
            ? [.. drawn.GroupBy(row => (TokenizedExample)examples[row], PromptComparer.Instance)
            .SelectMany(group => group)]
            : drawn;

    /// <inheritdoc/>
    public IReadOnlyList<IReadOnlyList<IExample>> MicroBatches(IReadOnlyList<IExample> rows, int batchSize)
    {
        bool free = rows.All(row => isFree(row.Length));
        if (batching.BatchTokens is { } most)
            return free && batching.Packing ? Fitting(rows, most)
                : InTurn(free ? [.. rows.OrderByDescending(row => row.Length)] : rows, most);
        if (rows.Count <= batchSize) return [rows];
        if (!free) return [.. rows.Chunk(batchSize)];
        return batching.Packing ? Balanced(rows, batchSize)
            : [.. rows.OrderByDescending(row => row.Length).Chunk(batchSize)];
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
            ? PackedRows.Count(examples.Where(row => row.IsWhole), batching.Shares)
            + Padded([.. examples.Where(row => !row.IsWhole)])
            : Padded(rows);
    }

    private static long Padded(IReadOnlyList<IExample> rows) => rows.Count == 0 ? 0
        : RowsInOrder.Instance.Positions(rows);

    // Rows that are best computed together.
    private IEnumerable<IExample[]> Units(IEnumerable<IExample> rows) => batching.Shares
        ? rows.Cast<TokenizedExample>().GroupBy(row => row, PromptComparer.Instance)
        .Select(group => group.ToArray<IExample>())
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

/// <summary>How rows of next-token prediction become batches. Only <see cref="PromptSharing.Grouped"/> changes which
/// rows a step takes; all else changes losses and gradients by rounding alone, as long as there is no
/// dropout.</summary>
public sealed record RowBatching
{
    /// <summary>Rows one after the other without padding; false pads each batch to its longest row.</summary>
    public bool Packing { get; init; } = true;

    /// <summary>Whether equal beginnings are computed once; needs <see cref="Packing"/>.</summary>
    public PromptSharing SharePrompts { get; init; } = PromptSharing.InStep;

    /// <summary>Most positions computed at once while training: a step's rows are split into as many micro-batches as
    /// that takes, whatever the batch size is. A single row may be longer. Null: micro-batches of the batch
    /// size.</summary>
    public int? BatchTokens { get; init; }

    /// <summary>Whether equal beginnings of rows in one batch are computed once.</summary>
    public bool Shares => Packing && SharePrompts != PromptSharing.Off;
}

/// <summary>Rows one after the other in one sequence without padding, their common beginnings once.</summary>
/// <remarks>What no label depends on is left out: rows that predict nothing, and tokens after the last that
/// predicts.</remarks>
public sealed class PackedRows
{
    private readonly IReadOnlyList<TokenizedExample> rows;
    private readonly List<PackedSequence> segments = [];
    private readonly List<long> inputIds = [], positions = [], predicting = [], labels = [];

    private PackedRows(IReadOnlyList<TokenizedExample> rows, bool shares)
    {
        this.rows = rows;
        Lay(Tree(rows, shares), [], []);
        Longest = rows.Max(Computed);
    }

    /// <summary>Token ids, [tokens].</summary>
    public IReadOnlyList<long> InputIds => inputIds;

    /// <summary>The place of each token in its own row, [tokens].</summary>
    public IReadOnlyList<long> Positions => positions;

    /// <summary>What attention takes at once, in the order of the tokens, which they cover.</summary>
    public IReadOnlyList<PackedSequence> Segments => segments;

    /// <summary>The tokens that predict a label, [predicted]; one that several rows share stands there for each of
    /// them.</summary>
    public IReadOnlyList<long> PredictingPositions => predicting;

    /// <summary>What they predict, [predicted].</summary>
    public IReadOnlyList<long> Labels => labels;

    /// <summary>Computed tokens of the longest row.</summary>
    public int Longest { get; }

    /// <summary>Packs rows.</summary>
    /// <param name="rows">Without padding of their own; at least one predicts a label.</param>
    /// <param name="shares">Whether equal beginnings are computed once.</param>
    public static PackedRows Of(IEnumerable<TokenizedExample> rows, bool shares)
    {
        TokenizedExample[] predicting = [.. rows.Where(row => row.PredictedLabels > 0)];
        if (predicting.Length == 0) throw new ArgumentException("No row predicts a label.", nameof(rows));
        return new PackedRows(predicting, shares);
    }

    /// <summary>How many tokens rows take when they are packed.</summary>
    public static int Count(IEnumerable<TokenizedExample> rows, bool shares)
    {
        TokenizedExample[] predicting = [.. rows.Where(row => row.PredictedLabels > 0)];
        return shares ? Tree(predicting, shares).Total : predicting.Sum(Computed);
    }

    private static PrefixNode Tree(IReadOnlyList<TokenizedExample> rows, bool shares) =>
        PrefixTree.Of([.. rows.Select(row => (ReadOnlyMemory<int>)row.InputIds.AsMemory(0, Computed(row)))], shares);

    // The token before the last label is the last that predicts.
    private static int Computed(TokenizedExample row) =>
        Array.FindLastIndex(row.Labels, label => label != TokenizedExample.Ignored);

    // path: the nodes from the root to this one, each with the place of its first token.
    private void Lay(PrefixNode node, IReadOnlyList<int> before, IReadOnlyList<(PrefixNode Node, int Start)> path)
    {
        foreach (int text in node.Ending) Predict(rows[text], path);
        // Texts of one length side by side are one attention call.
        foreach (IGrouping<int, PrefixNode> alike in node.Children.Where(child => child.Children.Count == 0)
            .GroupBy(child => child.Length).OrderBy(group => group.Key))
        {
            segments.Add(new PackedSequence(alike.Key, alike.Count(), before));
            foreach (PrefixNode leaf in alike) Lay(leaf, before, [.. path, (leaf, Place(leaf))]);
        }
        foreach (PrefixNode inner in node.Children.Where(child => child.Children.Count > 0))
        {
            int number = segments.Count;
            segments.Add(new PackedSequence(inner.Length, 1, before));
            Lay(inner, [.. before, number], [.. path, (inner, Place(inner))]);
        }
    }

    private int Place(PrefixNode node)
    {
        int start = inputIds.Count;
        for (int i = node.From; i < node.From + node.Length; i++)
        {
            inputIds.Add(rows[node.Text].InputIds[i]);
            positions.Add(i);
        }
        return start;
    }

    private void Predict(TokenizedExample row, IReadOnlyList<(PrefixNode Node, int Start)> path)
    {
        foreach ((PrefixNode node, int start) in path)
        {
            for (int i = 0; i < node.Length; i++)
            {
                int label = row.Labels[node.From + i + 1];
                if (label == TokenizedExample.Ignored) continue;
                predicting.Add(start + i);
                labels.Add(label);
            }
        }
    }
}

/// <summary>A stretch of packed rows that attention takes at once: texts of one length, which do not see each
/// other.</summary>
/// <param name="Length">Tokens of each text.</param>
/// <param name="Count">How many stand one after the other.</param>
/// <param name="Before">The numbers of the segments, of one text each, that all of them continue; the first tokens
/// first.</param>
public sealed record PackedSequence(int Length, int Count, IReadOnlyList<int> Before)
{
    /// <summary>Positions it fills.</summary>
    public int Tokens => Length * Count;
}
