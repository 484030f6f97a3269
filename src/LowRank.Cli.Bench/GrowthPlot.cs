using System.Text;
using LowRank.Cli.Common;
using LowRank.IO;
using OxyPlot;
using OxyPlot.Axes;
using OxyPlot.Series;

namespace LowRank.Cli.Bench;

/// <summary>Draws the series as SVG files, with the runs as points and the fitted line: one file for memory and one for
/// time per series.</summary>
internal static class GrowthPlot
{
    private const double Width = 760, Height = 440;

    /// <summary>Writes <c>SERIES_memory.svg</c> and <c>SERIES_time.svg</c> for each series.</summary>
    /// <param name="found">The measurements.</param>
    /// <param name="folder">The folder; created if it does not exist.</param>
    public static void Write(GrowthMeasurement found, string folder)
    {
        Directory.CreateDirectory(folder);
        foreach (GrowthSeries series in found.All)
        {
            Draw(series, "memory", "peak above the weights, MB", series.Memory,
                point => point.PeakAboveWeightsBytes, folder);
            Draw(series, "time", "processor time of a step, ms", series.Time, point => point.StepNanoseconds, folder);
        }
    }

    private static void Draw(
        GrowthSeries series, string what, string label, GrowthLine line, Func<GrowthPoint, double> value, string folder)
    {
        const double Million = 1e6; // bytes in an MB, and nanoseconds in a millisecond
        string title = FormattableString.Invariant(
            $"{label} by {series.Grows}; {100 * line.LargestDeviation:0.0} % from the line at most");
        var model = new PlotModel
        {
            Title = title,
            Background = OxyColors.White,
            TitleFontSize = 15,
            TitlePadding = 12,
            Padding = new OxyThickness(16),
        };
        model.Axes.Add(
            new LinearAxis
            {
                Position = AxisPosition.Bottom,
                Title = series.Grows,
                Minimum = 0,
                StringFormat = "#,0",
                MaximumPadding = 0.05,
            });
        model.Axes.Add(
            new LinearAxis
            {
                Position = AxisPosition.Left,
                Title = label,
                AxisTitleDistance = 14,
                Minimum = 0,
                MaximumPadding = 0.1,
                MajorGridlineStyle = LineStyle.Solid,
                MajorGridlineColor = OxyColors.LightGray,
            });
        var points = new LineSeries
        {
            LineStyle = LineStyle.None,
            MarkerType = MarkerType.Circle,
            MarkerSize = 5,
            MarkerFill = OxyColor.Parse("#0072b2"),
        };
        points.Points.AddRange(
            series.Points.Select(point => new DataPoint(series.Amount(point), value(point) / Million)));
        var through = new LineSeries
        {
            Color = OxyColor.Parse("#59636e"),
            LineStyle = LineStyle.Dash,
            StrokeThickness = 1.5,
        };
        through.Points.AddRange(
            new[] { 0, points.Points[^1].X }.Select(
                x => new DataPoint(x, (line.Intercept + line.Slope * x) / Million)));
        model.Series.Add(through);
        model.Series.Add(points);
        string description =
            string.Join("; ",
            points.Points.Select(point => FormattableString.Invariant($"{point.X:#,0}: {point.Y:0.0}")));
        string svg = AccessibleSvg.Describe(
            SvgExporter.ExportToString(model, Width, Height, isDocument: true), title, description, Width, Height);
        AtomicFile.Write(
            Path.Combine(folder, $"{series.Grows}_{what}.svg"), stream => stream.Write(Encoding.UTF8.GetBytes(svg)));
    }
}

/// <summary>A least-squares line through points.</summary>
/// <param name="Slope">The cost of one more unit.</param>
/// <param name="Intercept">The cost at zero.</param>
/// <param name="LargestDeviation">The largest distance of a point from the line, as a share of the point's
/// value.</param>
internal sealed record GrowthLine(double Slope, double Intercept, double LargestDeviation)
{
    /// <summary>Fits a line.</summary>
    /// <param name="points">At least two points, not all at the same position, none of them 0.</param>
    public static GrowthLine Fit(IReadOnlyList<(double X, double Y)> points)
    {
        double meanX = points.Average(point => point.X), meanY = points.Average(point => point.Y);
        double slope = points.Sum(point => (point.X - meanX) * (point.Y - meanY)) / points.Sum(
            point => (point.X - meanX) * (point.X - meanX));
        double intercept = meanY - slope * meanX;
        return new GrowthLine(
            slope, intercept, points.Max(point => Math.Abs(point.Y - intercept - slope * point.X) / Math.Abs(point.Y)));
    }
}
