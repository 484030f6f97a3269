namespace LowRank.Cli.Bench.Growth;

/// <summary>The line nearest to points, by least squares.</summary>
/// <param name="Slope">What one more costs.</param>
/// <param name="Intercept">What none would cost.</param>
/// <param name="LargestDeviation">The farthest point's distance from the line, as a share of the point's own value.</param>
internal sealed record GrowthLine(double Slope, double Intercept, double LargestDeviation)
{
    /// <summary>Fits a line.</summary>
    /// <param name="points">At least two, not all at the same place, none of them 0.</param>
    public static GrowthLine Fit(IReadOnlyList<(double X, double Y)> points)
    {
        double meanX = points.Average(point => point.X), meanY = points.Average(point => point.Y);
        double slope = points.Sum(point => (point.X - meanX) * (point.Y - meanY)) / points.Sum(point => (point.X - meanX) * (point.X - meanX));
        double intercept = meanY - slope * meanX;
        return new GrowthLine(slope, intercept, points.Max(point => Math.Abs(point.Y - intercept - slope * point.X) / Math.Abs(point.Y)));
    }
}
