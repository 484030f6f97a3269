using System.Runtime.InteropServices;

namespace LowRank.Tokenization.Models;

/// <summary>The merges of a BPE model, by pairs of token ids.</summary>
internal sealed class MergeTable
{
    private const int ShortPiece = 24; // up to here scanning all pairs anew beats a queue
    private readonly Dictionary<(int Left, int Right), (int Rank, int Id)> merges;

    public MergeTable(Dictionary<string, int> vocabulary, IReadOnlyList<(string Left, string Right)> pairs, string subwordPrefix, string place)
    {
        merges = new(pairs.Count);
        for (int rank = 0; rank < pairs.Count; rank++)
        {
            (string left, string right) = pairs[rank];
            string merged = left + (right.StartsWith(subwordPrefix, StringComparison.Ordinal) ? right[subwordPrefix.Length..] : right);
            foreach (string token in new[] { left, right, merged })
                if (!vocabulary.ContainsKey(token))
                    throw new InputException($"{place}: merge {rank} (\"{left}\" \"{right}\") needs the token \"{token}\", which is not in the vocabulary. Vocabulary and merges do not belong together.");
            // A pair named twice keeps its last place, as the reference's map does.
            merges[(vocabulary[left], vocabulary[right])] = (rank, vocabulary[merged]);
        }
    }

    /// <summary>Merges until nothing can be merged: always the pair of lowest rank, the leftmost among equals.</summary>
    public int[] Apply(List<int> symbols)
    {
        if (symbols.Count < 2) return [.. symbols];
        return symbols.Count <= ShortPiece ? Scan(symbols) : Queue(symbols);
    }

    private int[] Scan(List<int> symbols)
    {
        while (symbols.Count > 1)
        {
            int best = -1, rank = int.MaxValue, id = 0;
            Span<int> at = CollectionsMarshal.AsSpan(symbols);
            for (int i = 0; i + 1 < at.Length; i++)
                if (merges.TryGetValue((at[i], at[i + 1]), out (int Rank, int Id) merge) && merge.Rank < rank) (best, rank, id) = (i, merge.Rank, merge.Id);
            if (best < 0) break;
            symbols[best] = id;
            symbols.RemoveAt(best + 1);
        }
        return [.. symbols];
    }

    // A linked list of symbols and a queue of candidate merges: time n · log n, so that unsplit text of any length is near linear.
    private int[] Queue(List<int> symbols)
    {
        int count = symbols.Count;
        int[] id = [.. symbols], next = new int[count], previous = new int[count];
        var queue = new PriorityQueue<(int Left, int Right, int LeftId, int RightId, int Id), long>(count);
        for (int i = 0; i < count; i++) (next[i], previous[i]) = (i + 1 < count ? i + 1 : -1, i - 1);
        void Offer(int left)
        {
            int right = left < 0 ? -1 : next[left];
            if (right >= 0 && merges.TryGetValue((id[left], id[right]), out (int Rank, int Id) merge))
                queue.Enqueue((left, right, id[left], id[right], merge.Id), ((long)merge.Rank << 32) | (uint)left);
        }
        for (int i = 0; i < count; i++) Offer(i);
        while (queue.TryDequeue(out var merge, out _))
        {
            // Either side may have been merged since: such a candidate is void.
            if (id[merge.Left] != merge.LeftId || next[merge.Left] != merge.Right || id[merge.Right] != merge.RightId) continue;
            id[merge.Left] = merge.Id;
            id[merge.Right] = -1;
            next[merge.Left] = next[merge.Right];
            if (next[merge.Left] >= 0) previous[next[merge.Left]] = merge.Left;
            Offer(previous[merge.Left]);
            Offer(merge.Left);
        }
        var result = new List<int>(count);
        for (int i = 0; i >= 0; i = next[i]) result.Add(id[i]);
        return [.. result];
    }
}
