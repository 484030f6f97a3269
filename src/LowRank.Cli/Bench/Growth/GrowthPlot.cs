using System.Text;
using System.Xml.Linq;
using LowRank.Tensors;
using OxyPlot;
using OxyPlot.Axes;
using OxyPlot.Series;

namespace LowRank.Cli.Bench.Growth;

/// <summary>Draws what grew as SVG files: the runs as points, and the line through them; one of memory and one of time for each series.</summary>
internal static class GrowthPlot
{
    private const double Width = 760, Height = 440;

    /// <summary>Writes <c>SERIES_memory.svg</c> and <c>SERIES_time.svg</c> of each series.</summary>
    /// <param name="found">What was measured.</param>
    /// <param name="folder">Is made where it is not there.</param>
    public static void Write(GrowthMeasurement found, string folder)
    {
        Directory.CreateDirectory(folder);
        foreach (GrowthSeries series in found.All)
        {
            Draw(series, "memory", "peak above the weights, MB", series.Memory, point => point.PeakAboveWeightsBytes, folder);
            Draw(series, "time", "processor time of a step, ms", series.Time, point => point.StepNanoseconds, folder);
        }
    }

    private static void Draw(GrowthSeries series, string what, string label, GrowthLine line, Func<GrowthPoint, double> value, string folder)
    {
        const double Million = 1e6; // bytes in an MB, and nanoseconds in a millisecond
        string title = FormattableString.Invariant($"{label} by {series.Grows}; {100 * line.LargestDeviation:0.0} % from the line at most");
        var model = new PlotModel { Title = title, Background = OxyColors.White, TitleFontSize = 15, TitlePadding = 12, Padding = new OxyThickness(16) };
        model.Axes.Add(new LinearAxis { Position = AxisPosition.Bottom, Title = series.Grows, Minimum = 0, StringFormat = "#,0", MaximumPadding = 0.05 });
        model.Axes.Add(new LinearAxis { Position = AxisPosition.Left, Title = label, AxisTitleDistance = 14, Minimum = 0, MaximumPadding = 0.1, MajorGridlineStyle = LineStyle.Solid, MajorGridlineColor = OxyColors.LightGray });
        var points = new LineSeries { LineStyle = LineStyle.None, MarkerType = MarkerType.Circle, MarkerSize = 5, MarkerFill = OxyColor.Parse("#0072b2") };
        points.Points.AddRange(series.Points.Select(point => new DataPoint(series.Amount(point), value(point) / Million)));
        var through = new LineSeries { Color = OxyColor.Parse("#59636e"), LineStyle = LineStyle.Dash, StrokeThickness = 1.5 };
        through.Points.AddRange(new[] { 0, points.Points[^1].X }.Select(x => new DataPoint(x, (line.Intercept + line.Slope * x) / Million)));
        model.Series.Add(through);
        model.Series.Add(points);
        string description = string.Join("; ", points.Points.Select(point => FormattableString.Invariant($"{point.X:#,0}: {point.Y:0.0}")));
        string svg = Accessible(SvgExporter.ExportToString(model, Width, Height, isDocument: true), title, description);
        AtomicFile.Write(Path.Combine(folder, $"{series.Grows}_{what}.svg"), stream => stream.Write(Encoding.UTF8.GetBytes(svg)));
    }

    // A title and a description for those who do not see the picture.
    private static string Accessible(string svg, string title, string description)
    {
        XDocument document = XDocument.Parse(svg);
        XNamespace space = "http://www.w3.org/2000/svg";
        document.Root!.SetAttributeValue("role", "img");
        document.Root.SetAttributeValue("viewBox", FormattableString.Invariant($"0 0 {Width} {Height}"));
        document.Root.AddFirst(new XElement(space + "title", title), new XElement(space + "desc", description));
        return document.ToString();
    }
}
