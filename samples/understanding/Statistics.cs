namespace LowRank.Samples.Understanding;

/// <summary>What the measurements are summed up with.</summary>
internal static class Statistics
{
    /// <summary>The middle value; the mean of the middle two of an even number; 0 of none.</summary>
    public static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        int middle = sorted.Length / 2;
        return sorted.Length == 0 ? 0 : sorted.Length % 2 == 1 ? sorted[middle]
            : (sorted[middle - 1] + sorted[middle]) / 2;
    }
}
