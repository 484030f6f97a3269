namespace LowRank.Data.Packing;

/// <summary>Rows one after the other in one sequence without padding, their common beginnings once.</summary>
/// <remarks>What no label depends on is left out: rows that predict nothing, and tokens after the last that predicts.</remarks>
public sealed class PackedRows
{
    private readonly IReadOnlyList<TokenizedExample> rows;
    private readonly List<PackedSegment> segments = [];
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
    public IReadOnlyList<PackedSegment> Segments => segments;

    /// <summary>The tokens that predict a label, [predicted]; one that several rows share stands there for each of them.</summary>
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
    private static int Computed(TokenizedExample row) => Array.FindLastIndex(row.Labels, label => label != TokenizedExample.Ignored);

    // path: the nodes from the root to this one, each with the place of its first token.
    private void Lay(PrefixNode node, IReadOnlyList<int> before, IReadOnlyList<(PrefixNode Node, int Start)> path)
    {
        foreach (int text in node.Ending) Predict(rows[text], path);
        // Texts of one length side by side are one attention call.
        foreach (IGrouping<int, PrefixNode> alike in node.Children.Where(child => child.Children.Count == 0).GroupBy(child => child.Length).OrderBy(group => group.Key))
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
