using System.Runtime.InteropServices;

namespace LowRank.Tokenization.Unicode;

/// <summary>The Canonical Ordering Algorithm (The Unicode Standard, D109): marks in a row are sorted by class, stably.</summary>
internal static class CanonicalOrder
{
    /// <summary>Sorts every run of characters whose combining class is not 0, in place.</summary>
    public static void Sort(List<int> points, NormalizationTables tables)
    {
        Span<int> all = CollectionsMarshal.AsSpan(points);
        for (int at = 0; at < all.Length; at++)
        {
            int last = tables.CombiningClass(all[at]);
            if (last == 0) continue;
            int begin = at;
            bool sorted = true;
            while (++at < all.Length)
            {
                int next = tables.CombiningClass(all[at]);
                if (next == 0) break;
                sorted &= last <= next;
                last = next;
            }
            if (!sorted) SortRun(all[begin..at], tables);
        }
    }

    /// <summary>Sorts by class and then place: n log n, since text from outside may hold a run of a million marks.</summary>
    private static void SortRun(Span<int> run, NormalizationTables tables)
    {
        var keys = new long[run.Length];
        for (int i = 0; i < run.Length; i++) keys[i] = ((long)tables.CombiningClass(run[i]) << 32) | (uint)i;
        keys.AsSpan().Sort(run);
    }
}
