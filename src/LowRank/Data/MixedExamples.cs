using System.Collections;
using System.Globalization;

namespace LowRank.Data;

/// <summary>Several sources in given proportions.</summary>
/// <remarks>A pass contains every row at least once: the source that is largest relative to its weight contributes each
/// of its rows once, and the others repeat as often as their weights require. The rows of a partial round are chosen
/// with the seed.</remarks>
internal sealed class MixedExamples : IReadOnlyList<IExample>
{
    private readonly IReadOnlyList<IReadOnlyList<IExample>> sources;
    private readonly int[][] orders; // the order of each source's rows
    private readonly int[] ends;     // of each source: the number of examples up to its last

    /// <summary>Mixes the sources.</summary>
    /// <param name="sources">The sources, each with at least one example.</param>
    /// <param name="weights">One weight per source, above 0.</param>
    /// <param name="seed">Seed of the choice.</param>
    /// <exception cref="InputException">The pass would be longer than a list can be.</exception>
    public MixedExamples(IReadOnlyList<IReadOnlyList<IExample>> sources, IReadOnlyList<double> weights, long seed)
    {
        if (sources.Count != weights.Count)
            throw new ArgumentException("The numbers of weights and sources differ.", nameof(weights));
        this.sources = sources;
        double passes = sources.Select((source, i) => source.Count / weights[i]).Max();
        double[] counts = [.. weights.Select((weight, i) => Math.Max(sources[i].Count, Math.Round(weight * passes)))];
        if (counts.Sum() > int.MaxValue / 2)
            throw new InputException(
                $"With {KnownSettings.Weights}, {counts.Sum():0.##e0} rows per pass are needed to include every row " +
                $"of the largest source. Choose weights that differ less.");
        orders =
            [.. sources.Select(
                (source, i) =>
                new StableRandom(unchecked((ulong)seed * 0xD1342543DE82EF95 + (ulong)i)).Permutation(source.Count))];
        ends = new int[sources.Count];
        for (int i = 0; i < ends.Length; i++) ends[i] = (i == 0 ? 0 : ends[i - 1]) + (int)counts[i];
    }

    /// <inheritdoc/>
    public int Count => ends[^1];

    /// <inheritdoc/>
    public IExample this[int index]
    {
        get
        {
            ArgumentOutOfRangeException.ThrowIfNegative(index);
            int source = Array.FindIndex(ends, end => index < end);
            if (source < 0) throw new ArgumentOutOfRangeException(nameof(index));
            int within = index - (source == 0 ? 0 : ends[source - 1]);
            return sources[source][orders[source][within % orders[source].Length]];
        }
    }

    /// <summary>The contribution of each source, one sentence each.</summary>
    /// <param name="names">The sources' names.</param>
    public IEnumerable<string> Describe(IReadOnlyList<string> names) => names.Select((name, i) =>
    {
        int count = ends[i] - (i == 0 ? 0 : ends[i - 1]);
        return string.Create(CultureInfo.InvariantCulture,
            $"{name}: {count} of {Count} rows per pass ({(double)count / Count:p1}), each of its {sources[i].Count} " +
                $"rows {(double)count / sources[i].Count:0.##} times.");
    });

    /// <inheritdoc/>
    public IEnumerator<IExample> GetEnumerator() => Enumerable.Range(0, Count).Select(i => this[i]).GetEnumerator();

    /// <inheritdoc/>
    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
