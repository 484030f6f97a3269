using System.Text;
using LowRank.Recipes.Runs;
using static LowRank.Cli.Report.HtmlElement;

namespace LowRank.Cli.Report;

/// <summary>Draws a chart as SVG, for readers without scripts; with them the page draws it again at its own width.</summary>
/// <param name="chart">The chart.</param>
/// <param name="lastStep">The end of the scale of steps, the same for all charts.</param>
/// <param name="buckets">How many points a curve has at most.</param>
internal sealed class ChartDrawing(Chart chart, long lastStep, int buckets)
{
    private const double Width = 560, Height = 300, Left = 60, Right = 14, Top = 12, Bottom = 44;
    private const int MostDots = 60; // more would hide the line

    public HtmlElement Draw()
    {
        var curves = chart.Lines.Select(line => (Line: line, Points: line.Series.Curve(buckets))).ToList();
        IEnumerable<double> values = curves.SelectMany(curve => curve.Points).Select(point => point.Value / chart.Divisor);
        var x = new ChartScale(0, Math.Max(1, lastStep), Left, Width - Right, 6);
        ChartScale y = ChartScale.Roomy(values.Min(), values.Max(), Height - Bottom, Top, 6);
        return E("svg", A("viewBox", $"0 0 {Width} {Height}"), A("role", "img"), A("aria-labelledby", chart.TitleId), A("aria-describedby", chart.SummaryId),
            Axes(x, y), curves.SelectMany(curve => Curve(curve.Line, curve.Points, x, y)));
    }

    private static IEnumerable<HtmlElement> Axes(ChartScale x, ChartScale y)
    {
        foreach (double tick in y.Ticks)
        {
            yield return E("line", Class("grid"), A("x1", Round(Left)), A("x2", Round(Width - Right)), A("y1", Round(y.Place(tick))), A("y2", Round(y.Place(tick))));
            yield return Label(Left - 8, y.Place(tick) + 4, "end", Figures.Tick(tick, y.Step));
        }
        foreach (double tick in x.Ticks.Where(tick => tick == Math.Round(tick)))
            yield return Label(x.Place(tick), Height - Bottom + 18, "middle", Figures.Tick(tick, x.Step));
        yield return Label((Left + Width - Right) / 2, Height - 6, "middle", "step");
        yield return E("line", Class("axis"), A("x1", Round(Left)), A("x2", Round(Width - Right)), A("y1", Round(Height - Bottom)), A("y2", Round(Height - Bottom)));
    }

    private IEnumerable<HtmlElement> Curve(ChartLine line, IReadOnlyList<MetricPoint> points, ChartScale x, ChartScale y)
    {
        string look = $"{RunLook.Class(line.Run)} {(line.IsHeldOut ? "held-out" : "step")}";
        yield return E("path", Class($"curve {look}"), A("d", Path(points, x, y)));
        if (points.Count > 1 && (!line.IsHeldOut || points.Count > MostDots)) yield break;
        foreach (MetricPoint point in points)
            yield return E("circle", Class($"dot {look}"), A("cx", Round(x.Place(point.Step))), A("cy", Round(y.Place(point.Value / chart.Divisor))), A("r", "3.5"));
    }

    private string Path(IReadOnlyList<MetricPoint> points, ChartScale x, ChartScale y)
    {
        var path = new StringBuilder();
        foreach (MetricPoint point in points)
            path.Append(path.Length == 0 ? 'M' : 'L').Append(Round(x.Place(point.Step))).Append(' ').Append(Round(y.Place(point.Value / chart.Divisor)));
        return path.ToString();
    }

    private static HtmlElement Label(double x, double y, string anchor, string text) => E("text", A("x", Round(x)), A("y", Round(y)), A("text-anchor", anchor), text);

    private static string Round(double place) => place.ToString("0.#");
}
