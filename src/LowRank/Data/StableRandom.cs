namespace LowRank.Data;

/// <summary>SplitMix64 (Steele, Lea and Flood 2014): a random sequence that is the same in every version of
/// .NET.</summary>
/// <param name="seed">The same seed gives the same sequence.</param>
public sealed class StableRandom(ulong seed)
{
    private ulong state = seed;

    /// <summary>The next 64 bits.</summary>
    public ulong Next()
    {
        state += 0x9E3779B97F4A7C15;
        ulong z = state;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }

    /// <summary>A whole number in [0, below), without bias.</summary>
    public int Below(int below)
    {
        ulong range = (ulong)below, limit = ulong.MaxValue - ulong.MaxValue % range;
        ulong drawn;
        do drawn = Next(); while (drawn >= limit);
        return (int)(drawn % range);
    }

    /// <summary>A number in [0, 1).</summary>
    public double NextDouble() => (Next() >> 11) * (1.0 / (1UL << 53));

    /// <summary>The numbers 0 to <paramref name="count"/> - 1 in random order (Fisher-Yates).</summary>
    public int[] Permutation(int count)
    {
        int[] order = [.. Enumerable.Range(0, count)];
        for (int i = count - 1; i > 0; i--)
        {
            int j = Below(i + 1);
            (order[i], order[j]) = (order[j], order[i]);
        }
        return order;
    }
}
