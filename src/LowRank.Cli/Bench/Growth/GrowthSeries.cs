namespace LowRank.Cli.Bench.Growth;

/// <summary>Runs that differ in one thing.</summary>
/// <param name="Grows">What differs.</param>
/// <param name="One">One of it, for people.</param>
/// <param name="Points">The runs, the smallest first.</param>
/// <param name="Memory">The peak above the weights, in bytes, over what grows.</param>
/// <param name="Time">A step, in nanoseconds, over what grows.</param>
internal sealed record GrowthSeries(string Grows, string One, IReadOnlyList<GrowthPoint> Points, GrowthLine Memory, GrowthLine Time)
{
    /// <summary>How much of it a run has.</summary>
    public double Amount(GrowthPoint point) => Grows switch { "rows" => point.Rows, "weights" => point.Weights, _ => point.Tokens };

    /// <summary>Fits the lines.</summary>
    public static GrowthSeries Of(string grows, string one, IReadOnlyList<GrowthPoint> points)
    {
        var series = new GrowthSeries(grows, one, points, new GrowthLine(0, 0, 0), new GrowthLine(0, 0, 0));
        GrowthLine Fit(Func<GrowthPoint, double> value) => GrowthLine.Fit([.. points.Select(point => (series.Amount(point), value(point)))]);
        return series with { Memory = Fit(point => point.PeakAboveWeightsBytes), Time = Fit(point => point.StepNanoseconds) };
    }
}
