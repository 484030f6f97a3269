using LowRank.Kernels;

namespace LowRank.Data.Packing;

/// <summary>Arranges rows of next-token prediction: little or no padding, equal prompts together, micro-batches of
/// similar size.</summary>
/// <param name="batching">The settings.</param>
/// <param name="isFree">Whether a row of a given length computes the same result beside any other row; other rows stay
/// in place.</param>
internal sealed class RowArranger(RowBatching batching, Func<int, bool> isFree) : IRowArranger
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

    // Groups of rows that are best computed together.
    private IEnumerable<IExample[]> Units(IEnumerable<IExample> rows) => batching.Shares
        ? rows.Cast<TokenizedExample>().GroupBy(row => row, PromptComparer.Instance)
        .Select(group => group.ToArray<IExample>())
        : rows.Select(row => new[] { row });

    // The same number of micro-batches as without arranging; assigns the largest units first, each to the emptiest
    // micro-batch.
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

    // Best-fit decreasing: assigns each unit to the fullest micro-batch with enough room.
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

/// <summary>How to batch rows of next-token prediction. Only <see cref="PromptSharing.Grouped"/> changes the rows of a
/// step; everything else changes losses and gradients only by rounding, if there is no dropout.</summary>
internal sealed record RowBatching
{
    /// <summary>Whether to put rows one after another without padding; false pads each batch to its longest
    /// row.</summary>
    public bool Packing { get; init; } = true;

    /// <summary>Whether to compute common beginnings once; needs <see cref="Packing"/>.</summary>
    public PromptSharing SharePrompts { get; init; } = PromptSharing.InStep;

    /// <summary>Maximum number of positions per training micro-batch: a step's rows are split into as many
    /// micro-batches as needed, regardless of the batch size. A single row may be longer. Null for micro-batches of the
    /// batch size.</summary>
    public int? BatchTokens { get; init; }

    /// <summary>Whether common beginnings of rows in a batch are computed once.</summary>
    public bool Shares => Packing && SharePrompts != PromptSharing.Off;
}

/// <summary>Rows concatenated to one sequence without padding, with common beginnings only once.</summary>
/// <remarks>Omits everything that no label depends on: rows that predict nothing, and tokens after the last predicting
/// one.</remarks>
internal sealed class PackedRows
{
    private readonly IReadOnlyList<TokenizedExample> rows;
    private readonly List<PackedSegment> segments = [];
    private readonly List<long> inputIds = [], positions = [], predicting = [], labels = [], labelRows = [];

    private PackedRows(IReadOnlyList<TokenizedExample> rows, bool shares)
    {
        this.rows = rows;
        Lay(Tree(rows, shares), [], []);
        Longest = rows.Max(Computed);
    }

    /// <summary>Token ids, [tokens].</summary>
    public IReadOnlyList<long> InputIds => inputIds;

    /// <summary>The position of each token in its own row, [tokens].</summary>
    public IReadOnlyList<long> Positions => positions;

    /// <summary>The segments that attention processes together, in token order; they cover all tokens.</summary>
    public IReadOnlyList<PackedSegment> Segments => segments;

    /// <summary>The indexes of the tokens that predict a label, [predicted]; a token that several rows share occurs
    /// once per row.</summary>
    public IReadOnlyList<long> PredictingPositions => predicting;

    /// <summary>The predicted labels, [predicted].</summary>
    public IReadOnlyList<long> Labels => labels;

    /// <summary>The row of each predicted label, as its number among the packed rows, [predicted]; those of a row are
    /// in its order.</summary>
    public IReadOnlyList<long> LabelRows => labelRows;

    /// <summary>Number of computed tokens of the longest row.</summary>
    public int Longest { get; }

    /// <summary>Packs rows.</summary>
    /// <param name="rows">Rows without padding; at least one predicts a label.</param>
    /// <param name="shares">Whether to compute common beginnings once.</param>
    public static PackedRows Create(IEnumerable<TokenizedExample> rows, bool shares)
    {
        TokenizedExample[] predicting = [.. rows.Where(row => row.PredictedLabels > 0)];
        if (predicting.Length == 0) throw new ArgumentException("No row predicts a label.", nameof(rows));
        return new PackedRows(predicting, shares);
    }

    /// <summary>The number of tokens of rows when packed.</summary>
    public static int Count(IEnumerable<TokenizedExample> rows, bool shares)
    {
        TokenizedExample[] predicting = [.. rows.Where(row => row.PredictedLabels > 0)];
        return shares ? Tree(predicting, shares).Total : predicting.Sum(Computed);
    }

    private static PrefixNode Tree(IReadOnlyList<TokenizedExample> rows, bool shares) =>
        PrefixTree.Of([.. rows.Select(row => (ReadOnlyMemory<int>)row.InputIds.AsMemory(0, Computed(row)))], shares);

    // The token before the last label is the last predicting one.
    private static int Computed(TokenizedExample row) =>
        Array.FindLastIndex(row.Labels, label => label != TokenizedExample.Ignored);

    // path: the nodes from the root to this one, each with the position of its first token.
    private void Lay(PrefixNode node, IReadOnlyList<int> before, IReadOnlyList<(PrefixNode Node, int Start)> path)
    {
        foreach (int text in node.Ending) Predict(text, path);
        // Adjacent texts of the same length form one attention call.
        foreach (IGrouping<int, PrefixNode> alike in node.Children.Where(child => child.Children.Count == 0)
            .GroupBy(child => child.Length).OrderBy(group => group.Key))
        {
            segments.Add(new PackedSegment(alike.Key, alike.Count(), before));
            foreach (PrefixNode leaf in alike) Lay(leaf, before, [.. path, (leaf, Place(leaf))]);
        }
        foreach (PrefixNode inner in node.Children.Where(child => child.Children.Count > 0))
        {
            int number = segments.Count;
            segments.Add(new PackedSegment(inner.Length, 1, before));
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

    private void Predict(int number, IReadOnlyList<(PrefixNode Node, int Start)> path)
    {
        TokenizedExample row = rows[number];
        foreach ((PrefixNode node, int start) in path)
        {
            for (int i = 0; i < node.Length; i++)
            {
                int label = row.Labels[node.From + i + 1];
                if (label == TokenizedExample.Ignored) continue;
                predicting.Add(start + i);
                labels.Add(label);
                labelRows.Add(number);
            }
        }
    }
}
