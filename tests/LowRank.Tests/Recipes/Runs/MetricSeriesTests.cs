using CsCheck;
using LowRank.Recipes.Runs;

namespace LowRank.Tests.Recipes.Runs;

public sealed class MetricSeriesTests
{
    // Steps at any distance, values of any size.
    private static readonly Gen<MetricPoint[]> Points =
        Gen.Select(Gen.Int[1, 50], Gen.Double[-1e6, 1e6]).Array[1, 6000].Select(steps =>
        {
            long step = 0;
            return steps.Select(pair => new MetricPoint(step += pair.Item1, pair.Item2)).ToArray();
        });

    [Fact]
    public void Thinning_keeps_the_ends_the_extremes_and_the_mean() => Points.Sample(points =>
    {
        MetricSeries series = Of(points);
        IReadOnlyList<MetricPoint> curve = series.Curve();
        Assert.True(curve.Count <= 2 * MetricSeries.MostBuckets + 2);
        Assert.Equal(points[0], curve[0]);
        Assert.Equal(points[^1], curve[^1]);
        Assert.Equal(points.Max(point => point.Value), curve.Max(point => point.Value));
        Assert.Equal(points.Min(point => point.Value), curve.Min(point => point.Value));
        Assert.Equal(series.Lowest, points.MinBy(point => point.Value));
        Assert.Equal(series.Highest, points.MaxBy(point => point.Value));
        Assert.Subset(points.ToHashSet(), curve.ToHashSet());
        Assert.Equal(curve.Select(point => point.Step), curve.Select(point => point.Step).Distinct().Order());
    }, iter: 50);

    [Fact]
    public void Every_point_lies_between_the_extremes_of_its_neighbourhood() => Points.Sample(points =>
    {
        const int Most = 64;
        IReadOnlyList<MetricPoint> curve = Of(points).Curve(Most);
        long width = 1;
        while (points.Select(point => point.Step / width).Distinct().Count() > Most) width *= 2;
        ILookup<long, double> drawn = curve.ToLookup(point => point.Step / width, point => point.Value);
        Assert.All(points,
            point => Assert.InRange(point.Value, drawn[point.Step / width].Min(), drawn[point.Step / width].Max()));
    }, iter: 20);

    [Fact]
    public void A_short_run_is_kept_as_it_is()
    {
        MetricPoint[] points =
            [.. Enumerable.Range(1, MetricSeries.MostBuckets).Select(step => new MetricPoint(step, Math.Sin(step)))];
        MetricSeries series = Of(points);
        Assert.Equal(points, series.Curve());
        Assert.Equal(points, series.Means());
        Assert.False(series.IsThinned());
        Assert.Equal(Math.Sin(77), series.At(77));
        Assert.Null(series.At(0));
        Assert.Null(series.At(5000));
    }

    [Fact]
    public void Means_of_a_long_run_are_those_of_its_parts()
    {
        MetricSeries series = Of([.. Enumerable.Range(0, 4096).Select(step => new MetricPoint(step, step % 4))]);
        Assert.True(series.IsThinned());
        Assert.All(series.Means(), mean => Assert.Equal(1.5, mean.Value, 12));
        Assert.Equal(1024, series.Means().Count);
        Assert.Equal(256, series.Means(256).Count);
        Assert.Equal(1.5, series.At(4001)!.Value, 12);
    }

    [Fact]
    public void What_is_no_number_or_comes_again_is_counted()
    {
        var series = new MetricSeries("loss");
        foreach (
            (long step, double value) in new[] { (1L, 2.0), (2, double.NaN), (3, 1e301), (3, 5.0), (2, 7.0), (3, 8.0) })
            series.Add(step, value);
        Assert.Equal((2, 2, 2), (series.Count, series.NotFinite, series.Repeated));
        Assert.Equal([new MetricPoint(1, 2), new MetricPoint(3, 5)], series.Curve());
    }

    [Fact]
    public void Huge_values_do_not_overflow_the_mean()
    {
        MetricSeries series = Of([.. Enumerable.Range(0, 3000).Select(step => new MetricPoint(step, double.MaxValue))]);
        Assert.All(series.Means(), mean => Assert.InRange(mean.Value, 0.999e300, 1.001e300));
    }

    private static MetricSeries Of(MetricPoint[] points)
    {
        var series = new MetricSeries("loss");
        foreach (MetricPoint point in points) series.Add(point.Step, point.Value);
        return series;
    }
}
