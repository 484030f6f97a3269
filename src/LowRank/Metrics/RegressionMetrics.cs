namespace LowRank.Metrics;

/// <summary>Metrics of predicted numbers.</summary>
/// <param name="MeanSquaredError">Mean of the squared differences.</param>
/// <param name="MeanAbsoluteError">Mean of the absolute differences.</param>
/// <param name="Pearson">Linear correlation, -1 to 1; null if all numbers of one side are equal.</param>
/// <param name="Spearman">Rank correlation, with the mean rank for equal numbers; null like <paramref
/// name="Pearson"/>.</param>
internal sealed record RegressionMetrics(
    double MeanSquaredError, double MeanAbsoluteError, double? Pearson, double? Spearman)
{
    /// <summary>Measures predictions.</summary>
    /// <exception cref="ArgumentException">There are no items, or the numbers differ.</exception>
    public static RegressionMetrics Compute(IReadOnlyList<double> truth, IReadOnlyList<double> predicted)
    {
        Pairs.Check(truth.Count, predicted.Count);
        double[] differences = [.. truth.Zip(predicted, (a, b) => b - a)];
        return new RegressionMetrics(differences.Average(d => d * d), differences.Average(Math.Abs),
            Correlation(truth, predicted), Correlation(Ranks(truth), Ranks(predicted)));
    }

    private static double? Correlation(IReadOnlyList<double> a, IReadOnlyList<double> b)
    {
        double meanA = a.Average(), meanB = b.Average(), both = 0, squareA = 0, squareB = 0;
        for (int i = 0; i < a.Count; i++)
        {
            (double x, double y) = (a[i] - meanA, b[i] - meanB);
            (both, squareA, squareB) = (both + x * y, squareA + x * x, squareB + y * y);
        }
        double spread = Math.Sqrt(squareA) * Math.Sqrt(squareB);
        return spread == 0 ? null : Math.Clamp(both / spread, -1, 1);
    }

    private static double[] Ranks(IReadOnlyList<double> values)
    {
        int[] order = [.. Enumerable.Range(0, values.Count).OrderBy(i => values[i])];
        var ranks = new double[values.Count];
        for (int first = 0; first < order.Length;)
        {
            int next = first + 1;
            while (next < order.Length && values[order[next]] == values[order[first]]) next++;
            for (int i = first; i < next; i++) ranks[order[i]] = (first + next - 1) / 2.0 + 1;
            first = next;
        }
        return ranks;
    }
}
