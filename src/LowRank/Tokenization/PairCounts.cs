namespace LowRank.Tokenization;

/// <summary>How often each pair of neighbouring tokens stands in the words, kept up to date while pairs are merged.</summary>
internal sealed class PairCounts
{
    private readonly List<int[]> words;
    private readonly List<long> counts;
    private readonly Dictionary<(int Left, int Right), long> totals = [];
    private readonly Dictionary<(int Left, int Right), HashSet<int>> places = [];
    private readonly PriorityQueue<((int Left, int Right) Pair, long Count), (long Negative, int Left, int Right)> queue = new();

    /// <summary>Counts all pairs.</summary>
    /// <param name="words">Token ids of each distinct word; changed by <see cref="Merge"/>.</param>
    /// <param name="counts">How often each word occurs.</param>
    public PairCounts(List<int[]> words, List<long> counts)
    {
        this.words = words;
        this.counts = counts;
        for (int word = 0; word < words.Count; word++) Add(word, 1);
        foreach ((int Left, int Right) pair in totals.Keys) Enqueue(pair);
    }

    /// <summary>The most frequent pair, lowest ids first among equals; null when no pair occurs.</summary>
    public (int Left, int Right)? MostFrequent()
    {
        while (queue.TryDequeue(out var entry, out _))
        {
            long now = totals.GetValueOrDefault(entry.Pair);
            if (now == entry.Count && now > 0) return entry.Pair;
            // An old count: a newer entry of the same pair stands in the queue.
        }
        return null;
    }

    /// <summary>Replaces the pair by a token wherever it stands.</summary>
    public void Merge((int Left, int Right) pair, int token)
    {
        var changed = new HashSet<(int, int)>();
        foreach (int word in places[pair].ToList())
        {
            changed.UnionWith(Add(word, -1));
            words[word] = Replace(words[word], pair, token);
            changed.UnionWith(Add(word, 1));
        }
        foreach ((int, int) touched in changed) Enqueue(touched);
    }

    private List<(int, int)> Add(int word, int sign)
    {
        int[] ids = words[word];
        var touched = new List<(int, int)>(ids.Length);
        for (int i = 0; i + 1 < ids.Length; i++)
        {
            (int, int) pair = (ids[i], ids[i + 1]);
            totals[pair] = totals.GetValueOrDefault(pair) + sign * counts[word];
            if (!places.TryGetValue(pair, out HashSet<int>? where)) places[pair] = where = [];
            if (sign > 0) where.Add(word);
            else where.Remove(word);
            touched.Add(pair);
        }
        return touched;
    }

    private void Enqueue((int Left, int Right) pair)
    {
        long count = totals[pair];
        if (count > 0) queue.Enqueue((pair, count), (-count, pair.Left, pair.Right));
    }

    private static int[] Replace(int[] ids, (int Left, int Right) pair, int token)
    {
        var result = new List<int>(ids.Length);
        for (int i = 0; i < ids.Length; i++)
        {
            if (i + 1 < ids.Length && ids[i] == pair.Left && ids[i + 1] == pair.Right)
            {
                result.Add(token);
                i++;
            }
            else result.Add(ids[i]);
        }
        return [.. result];
    }
}
