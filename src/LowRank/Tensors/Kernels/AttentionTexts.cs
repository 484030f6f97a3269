namespace LowRank.Tensors.Kernels;

/// <summary>What attends to what: texts, those that continue the same ones together in trees.</summary>
/// <remarks>Texts are added tree by tree, each after those that it continues.</remarks>
internal sealed class AttentionTexts
{
    private const int PartQueries = 256; // of a forward part: a multiple of every panel

    private readonly List<AttentionText> texts = [];
    private readonly List<int> before = [], needed = [];
    private readonly List<AttentionPart> parts = [], trees = [];
    private int treeStart;
    private int places;

    /// <summary>The texts.</summary>
    public AttentionText[] Texts { get; private set; } = [];

    /// <summary>The numbers of the texts before each.</summary>
    public int[] Before { get; private set; } = [];

    /// <summary>The numbers of the texts whose keys parts need.</summary>
    public int[] Needed { get; private set; } = [];

    /// <summary>The parts of a forward pass.</summary>
    public AttentionPart[] Parts { get; private set; } = [];

    /// <summary>The parts of a backward pass: whole trees, for what reaches a key is summed up by one thread.</summary>
    public AttentionPart[] Trees { get; private set; } = [];

    /// <summary>Rows of a batch, alike and each for itself.</summary>
    /// <param name="rows">How many.</param>
    /// <param name="queries">Queries of each.</param>
    /// <param name="keys">Keys of each, the queries' the last of them.</param>
    public static AttentionTexts OfRows(int rows, int queries, int keys)
    {
        var made = new AttentionTexts();
        for (int row = 0; row < rows; row++) made.AddTree(row, [(0, queries, 0, keys, [])]);
        return made.Done();
    }

    /// <summary>Texts that lie one after the other in one row.</summary>
    /// <param name="segments">For each segment the length of its texts, their count, and the numbers of the segments, of one text
    /// each, that they continue.</param>
    public static AttentionTexts OfSegments(IReadOnlyList<(int Length, int Count, IReadOnlyList<int> Before)> segments)
    {
        var made = new AttentionTexts();
        var firstText = new int[segments.Count];
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
            for (int text = 0; text < count; text++, token += length)
            {
                if (apart && continued.Count == 0) Close();
                firstText[i] = made.texts.Count + tree.Count;
                tree.Add((token, length, token, length, [.. continued.Select(number => firstText[number])]));
            }
        }
        Close();
        return made.Done();
    }

    // What continues a text follows it before the next text that continues nothing; else all is taken for one tree.
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
        (treeStart, places) = (texts.Count, 0);
        foreach ((int query, int queries, int key, int keys, int[] earlier) in tree)
        {
            texts.Add(new AttentionText(row, query, queries, key, keys, earlier.Sum(number => texts[number].Keys), places, before.Count, earlier.Length));
            before.AddRange(earlier);
            places += (keys + 3) / 4 * 4;
        }
        AddPart(trees, treeStart, texts.Count - treeStart, 0, texts[^1].Queries);
        for (int text = treeStart; text < texts.Count;)
        {
            int length = texts[text].Queries, together = 1;
            for (int first = 0; length > PartQueries && first < length; first += PartQueries)
                AddPart(parts, text, 1, first, Math.Min(first + PartQueries, length));
            if (length <= PartQueries)
            {
                for (; text + together < texts.Count && length + texts[text + together].Queries <= PartQueries; together++) length += texts[text + together].Queries;
                AddPart(parts, text, together, 0, texts[text + together - 1].Queries);
            }
            text += together;
        }
    }

    private void AddPart(List<AttentionPart> to, int text, int count, int first, int last)
    {
        int start = needed.Count;
        var seen = new SortedSet<int>();
        for (int i = text; i < text + count; i++)
        {
            seen.Add(i);
            seen.UnionWith(before.Skip(texts[i].FirstBefore).Take(texts[i].Befores));
        }
        needed.AddRange(seen);
        to.Add(new AttentionPart(text, count, first, last, start, seen.Count, places));
    }

    private AttentionTexts Done()
    {
        (Texts, Before, Needed, Parts, Trees) = ([.. texts], [.. before], [.. needed], [.. parts], [.. trees]);
        return this;
    }
}
