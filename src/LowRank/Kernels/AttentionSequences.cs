using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using LowRank.Kernels.Native;
using static TorchSharp.torch;

namespace LowRank.Kernels;

/// <summary>Which sequences attend to which: sequences and their continuations form a tree.</summary>
/// <remarks>Sequences are added tree by tree, each after the ones that it continues.</remarks>
internal sealed class AttentionSequences
{
    private const int PartQueries = 256; // of a forward part: a multiple of every panel

    private readonly List<AttentionSequence> sequences = [];
    private readonly List<int> before = [], needed = [];
    private readonly List<AttentionPart> parts = [], trees = [];
    private int treeStart;
    private int places;

    /// <summary>The sequences.</summary>
    public AttentionSequence[] Sequences { get; private set; } = [];

    /// <summary>For each sequence, the indices of the sequences before it.</summary>
    public int[] Before { get; private set; } = [];

    /// <summary>The indices of the sequences whose keys the parts need.</summary>
    public int[] Needed { get; private set; } = [];

    /// <summary>The parts of a forward pass.</summary>
    public AttentionPart[] Parts { get; private set; } = [];

    /// <summary>The parts of a backward pass: whole trees, because one thread sums the gradients of a key.</summary>
    public AttentionPart[] Trees { get; private set; } = [];

    /// <summary>Independent rows of a batch with the same lengths.</summary>
    /// <param name="rows">Number of rows.</param>
    /// <param name="queries">Queries per row.</param>
    /// <param name="keys">Keys per row; the queries belong to the last of them.</param>
    public static AttentionSequences OfRows(int rows, int queries, int keys)
    {
        var made = new AttentionSequences();
        for (int row = 0; row < rows; row++) made.AddTree(row, [(0, queries, 0, keys, [])]);
        return made.Done();
    }

    /// <summary>Sequences packed into one row.</summary>
    /// <param name="segments">For each segment, the length of its sequences, their count, and the indices of the
    /// segments (of one sequence each) that they continue.</param>
    public static AttentionSequences OfSegments(
        IReadOnlyList<(int Length, int Count, IReadOnlyList<int> Before)> segments)
    {
        var made = new AttentionSequences();
        var firstSequence = new int[segments.Count];
        int token = 0;
        bool apart = TreesAreApart(segments);
        List<(int Query, int Queries, int Key, int Keys, int[] Before)> tree = [];
        void Close()
        {
            if (tree.Count > 0) made.AddTree(0, tree);
            tree = [];
        }
        for (int i = 0; i < segments.Count; i++)
        {
            (int length, int count, IReadOnlyList<int> continued) = segments[i];
            for (int sequence = 0; sequence < count; sequence++, token += length)
            {
                if (apart && continued.Count == 0) Close();
                firstSequence[i] = made.sequences.Count + tree.Count;
                tree.Add((token, length, token, length, [.. continued.Select(number => firstSequence[number])]));
            }
        }
        Close();
        return made.Done();
    }

    // A continuation comes before the next sequence that continues nothing; otherwise all sequences are treated as one
    // tree.
    private static bool TreesAreApart(IReadOnlyList<(int Length, int Count, IReadOnlyList<int> Before)> segments)
    {
        int root = -1;
        for (int i = 0; i < segments.Count; i++)
        {
            if (segments[i].Before.Count == 0) root = i;
            else if (segments[i].Before.Any(number => number < root)) return false;
        }
        return true;
    }

    private void AddTree(int row, IReadOnlyList<(int Query, int Queries, int Key, int Keys, int[] Before)> tree)
    {
        (treeStart, places) = (sequences.Count, 0);
        foreach ((int query, int queries, int key, int keys, int[] earlier) in tree)
        {
            sequences.Add(
                new AttentionSequence(
                    row, query, queries, key, keys, earlier.Sum(number => sequences[number].Keys), places,
                before.Count, earlier.Length));
            before.AddRange(earlier);
            places += (keys + 3) / 4 * 4;
        }
        AddPart(trees, treeStart, sequences.Count - treeStart, 0, sequences[^1].Queries);
        for (int sequence = treeStart; sequence < sequences.Count;)
        {
            int length = sequences[sequence].Queries, together = 1;
            for (int first = 0; length > PartQueries && first < length; first += PartQueries)
                AddPart(parts, sequence, 1, first, Math.Min(first + PartQueries, length));
            if (length <= PartQueries)
            {
                for (; sequence + together < sequences.Count
                    && length + sequences[sequence + together].Queries <= PartQueries; together++)
                    length += sequences[sequence + together].Queries;
                AddPart(parts, sequence, together, 0, sequences[sequence + together - 1].Queries);
            }
            sequence += together;
        }
    }

    private void AddPart(List<AttentionPart> to, int sequence, int count, int first, int last)
    {
        int start = needed.Count;
        var seen = new SortedSet<int>();
        for (int i = sequence; i < sequence + count; i++)
        {
            seen.Add(i);
            seen.UnionWith(before.Skip(sequences[i].FirstBefore).Take(sequences[i].Befores));
        }
        needed.AddRange(seen);
        to.Add(new AttentionPart(sequence, count, first, last, start, seen.Count, places));
    }

    private AttentionSequences Done()
    {
        (Sequences, Before, Needed, Parts, Trees) = ([.. sequences], [.. before], [.. needed], [.. parts], [.. trees]);
        return this;
    }
}

/// <summary>Queries and the keys that they see: all keys of earlier sequences, and the sequence's own keys, the last of
/// which belong to the queries.</summary>
/// <param name="Row">The row of the batch.</param>
/// <param name="Query">Position of its first query in the row.</param>
/// <param name="Queries">Number of queries.</param>
/// <param name="Key">Position of its first own key in the row.</param>
/// <param name="Keys">Number of own keys, at least the number of queries.</param>
/// <param name="Position">Total number of keys in the earlier sequences.</param>
/// <param name="Place">Position of its keys among those of its tree; a multiple of 4.</param>
/// <param name="FirstBefore">Start of the indices of the earlier sequences.</param>
/// <param name="Befores">Number of earlier sequences.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct AttentionSequence(
    int Row, int Query, int Queries, int Key, int Keys, int Position, int Place, int FirstBefore, int Befores)
{
    /// <summary>The position of its first query among all keys that it sees.</summary>
    public int QueryPosition => Position + Keys - Queries;
}

/// <summary>Queries that one thread processes at once, from sequences of one tree.</summary>
/// <param name="FirstSequence">The first sequence.</param>
/// <param name="Sequences">Number of sequences.</param>
/// <param name="FirstQuery">The first query to process, in the first sequence.</param>
/// <param name="LastQuery">The end (exclusive) of the queries in the last sequence.</param>
/// <param name="FirstNeeded">Start of the indices of the sequences whose keys are seen.</param>
/// <param name="Needed">Number of these sequences.</param>
/// <param name="Places">Number of key positions in the tree.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct AttentionPart(
    int FirstSequence, int Sequences, int FirstQuery, int LastQuery, int FirstNeeded, int Needed, int Places);

/// <summary>The memory layout of heads: [rows, heads, tokens, dimension]; the elements of one token in one head are
/// adjacent.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly unsafe struct AttentionHeads
{
    private readonly float* first;
    private readonly long row;
    private readonly long head;

    private AttentionHeads(float* first, long row, long head, long token)
    {
        this.first = first;
        (this.row, this.head, TokenStride) = (row, head, token);
    }

    /// <summary>Stride between tokens, in elements.</summary>
    public long TokenStride { get; }

    /// <summary>Stride between rows, in elements.</summary>
    public long RowStride => row;

    /// <summary>The heads of a tensor.</summary>
    /// <param name="heads">[rows, heads, tokens, dimension] with a contiguous last axis; must stay alive while this is
    /// used.</param>
    public static AttentionHeads From(Tensor heads) =>
        new((float*)NativeTensor.Address(heads), heads.stride(0), heads.stride(1), heads.stride(2));

    /// <summary>The heads of a tensor that stores a token's heads next to each other.</summary>
    /// <param name="mixed">[rows, tokens, heads · dimension], contiguous; must stay alive while this is used.</param>
    /// <param name="dimension">Width of a head.</param>
    public static AttentionHeads OfMixed(Tensor mixed, int dimension) =>
        new((float*)NativeTensor.Address(mixed), mixed.stride(0), dimension, mixed.stride(1));

    /// <summary>The elements of a token.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public float* At(int inRow, int ofHead, int token) => first + inRow * row + ofHead * head + token * TokenStride;
}
