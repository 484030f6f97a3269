using System.Security;
using System.Text;

namespace LowRank.Samples.Understanding;

/// <summary>Draws charts as SVG: a white card with dark writing, legible on light and dark pages; a title and a
/// description for those who listen; colours that the colour-blind tell apart, and a shape of mark for each series
/// besides.</summary>
/// <remarks>The same data gives the same bytes on every machine.</remarks>
public sealed class SvgChart
{
    private const int Width = 760, Left = 84, Right = 40, Top = 92, Bottom = 66, NameWidth = 250, BarHeight = 40;
    private const string Ink = "#1f2328", Faint = "#59636e", Grid = "#d8dee4";
    // after Okabe and Ito, darker for white
    private static readonly string[] Colors = ["#0072b2", "#c44e00", "#00795a", "#a0447c"];

    private readonly StringBuilder svg = new();
    private readonly int height;

    private SvgChart(string title, string description, int height)
    {
        this.height = height;
        svg.Append(
            $"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {Width} {height}\" width=\"{Width}\" " +
            $"height=\"{height}\" role=\"img\" aria-labelledby=\"title desc\"")
            .Append(" font-family=\"system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif\" " +
            "font-size=\"14\">\n")
            .Append($"<title id=\"title\">{Escape(title)}</title>\n<desc id=\"desc\">{Escape(description)}</desc>\n")
            .Append($"<rect x=\"0.5\" y=\"0.5\" width=\"{Width - 1}\" height=\"{height - 1}\" rx=\"8\" " +
            $"fill=\"#ffffff\" stroke=\"{Grid}\"/>\n");
        Text(24, 34, title, size: 18, weight: "600");
    }

    /// <summary>Lines, or points alone, over two axes.</summary>
    /// <param name="title">What is seen.</param>
    /// <param name="description">The same in a sentence or two, with the numbers that matter.</param>
    /// <param name="x">The horizontal axis.</param>
    /// <param name="y">The vertical axis; values beyond its ends are drawn at the end.</param>
    /// <param name="series">At most four.</param>
    /// <param name="reference">A dashed horizontal line and its name; null for none.</param>
    /// <returns>The SVG file's text.</returns>
    public static string Lines(
        string title, string description, ChartAxis x, ChartAxis y, IReadOnlyList<ChartSeries> series,
        (double Y, string Name)? reference = null)
    {
        var chart = new SvgChart(title, description, height: 440);
        chart.Axes(x, y);
        var labels = new ChartLabels(Left, Width - Right, chart.height - Bottom);
        double? at = reference is { } given ? chart.Y(y, given.Y) : null;
        if (at is { } height) chart.Line(Left, height, Width - Right, height, Faint, "6 5");
        double legend = 24;
        for (int i = 0; i < series.Count; i++)
        {
            chart.Series(x, y, series[i], i, labels);
            chart.Mark(legend + 6, 59, i);
            chart.Text(legend + 20, 64, series[i].Name);
            legend += 52 + series[i].Name.Length * 7.6;
        }
        if (at is { } line)
        {
            chart.Place(
                labels.Place(reference!.Value.Name,
                [(Width - Right, line - 7, "end"), (Left + 6, line - 7, "start"), (Width - Right, line + 17, "end"),
                (Left + 6, line + 17, "start")]), reference.Value.Name, Faint);
            labels.AvoidLine(Left, line, Width - Right, line);
        }
        for (int i = 0; i < series.Count; i++)
            foreach (ChartPoint point in series[i].Points.Where(point => point.Label is not null))
                chart.Place(labels.Beside(point.Label!, X(x, point.X), chart.Y(y, point.Y)), point.Label!, Colors[i]);
        return chart.End();
    }

    /// <summary>Horizontal bars from zero.</summary>
    /// <param name="title">What is seen.</param>
    /// <param name="description">The same in a sentence or two, with the numbers that matter.</param>
    /// <param name="label">What the length measures, with the unit.</param>
    /// <param name="bars">From top to bottom.</param>
    /// <returns>The SVG file's text.</returns>
    public static string Bars(string title, string description, string label, IReadOnlyList<ChartBar> bars)
    {
        const int First = 78, Room = 120; // pixels kept for the text behind the longest bar
        var chart = new SvgChart(title, description, First + bars.Count * BarHeight + 24);
        chart.Text(24, 60, label, color: Faint);
        double longest = bars.Max(bar => bar.Value);
        for (int i = 0; i < bars.Count; i++)
        {
            double top = First + i * BarHeight,
                length = Math.Max(1, bars[i].Value / longest * (Width - NameWidth - Right - Room));
            chart.Text(NameWidth - 10, top + 23, bars[i].Name, anchor: "end");
            chart.svg.Append(
                $"<rect x=\"{NameWidth}\" y=\"{Number(top + 5)}\" width=\"{Number(length)}\" " +
                $"height=\"{BarHeight - 12}\" rx=\"3\" fill=\"{Colors[bars[i].Color]}\"/>\n");
            chart.Text(NameWidth + length + 10, top + 23, bars[i].Label, weight: "600");
        }
        chart.Line(NameWidth, First, NameWidth, First + bars.Count * BarHeight, Faint);
        return chart.End();
    }

    private static string Escape(string text) => SecurityElement.Escape(text);

    private static string Number(double value) => value.ToString("0.##");

    private static double X(ChartAxis axis, double value) =>
        Left + Math.Clamp(axis.Share(value), 0, 1) * (Width - Left - Right);

    private double Y(ChartAxis axis, double value) =>
        height - Bottom - Math.Clamp(axis.Share(value), 0, 1) * (height - Top - Bottom);

    private void Axes(ChartAxis x, ChartAxis y)
    {
        foreach (double tick in y.Ticks)
        {
            Line(Left, Y(y, tick), Width - Right, Y(y, tick), Grid);
            Text(Left - 10, Y(y, tick) + 5, tick.ToString("0.#####"), anchor: "end", color: Faint);
        }
        foreach (double tick in x.Ticks)
        {
            Line(X(x, tick), height - Bottom, X(x, tick), height - Bottom + 5, Faint);
            Text(X(x, tick), height - Bottom + 22, tick is > 0 and < 1e-3 ? tick.ToString("0.#e-0")
                : tick.ToString("#,##0.#####"), anchor: "middle", color: Faint);
        }
        Line(Left, height - Bottom, Width - Right, height - Bottom, Faint);
        Text((Left + Width - Right) / 2.0, height - 16, x.Label, anchor: "middle");
        double middle = (Top + height - Bottom) / 2.0;
        svg.Append(
            $"<text x=\"24\" y=\"{Number(middle)}\" text-anchor=\"middle\" fill=\"{Ink}\" transform=\"rotate(-90 " +
            $"24 {Number(middle)})\">{Escape(y.Label)}</text>\n");
    }

    private void Place((double X, double Y, string Anchor) place, string text, string color) =>
        Text(place.X, place.Y, text, anchor: place.Anchor, size: 13, color: color);

    private void Series(ChartAxis x, ChartAxis y, ChartSeries series, int color, ChartLabels labels)
    {
        if (series.IsJoined)
            svg.Append(
                $"<polyline fill=\"none\" stroke=\"{Colors[color]}\" stroke-width=\"2.5\" " +
                "stroke-linejoin=\"round\" " +
                $"points=\"{string.Join(' ', series.Points.Select(point => $"{Number(X(x, point.X))},{Number(Y(y, point.Y))}"))}\"/>\n");
        for (int i = 0; i < series.Points.Count; i++)
        {
            (double atX, double atY) = (X(x, series.Points[i].X), Y(y, series.Points[i].Y));
            Mark(atX, atY, color);
            labels.Avoid(atX, atY, size: 7);
            if (series.IsJoined && i > 0)
                labels.AvoidLine(X(x, series.Points[i - 1].X), Y(y, series.Points[i - 1].Y), atX, atY);
        }
    }

    private void Mark(double x, double y, int color)
    {
        string fill = $"fill=\"{Colors[color]}\" stroke=\"#ffffff\"";
        svg.Append(color switch
        {
            0 => $"<circle cx=\"{Number(x)}\" cy=\"{Number(y)}\" r=\"5.5\" {fill}/>\n",
            1 => $"<rect x=\"{Number(x - 5)}\" y=\"{Number(y - 5)}\" width=\"10\" height=\"10\" {fill}/>\n",
            2 => $"<path d=\"M{Number(x)} {Number(y - 6.5)}l6.5 11.5h-13z\" {fill}/>\n",
            _ => $"<path d=\"M{Number(x)} {Number(y - 7)}l7 7-7 7-7-7z\" {fill}/>\n",
        });
    }

    private void Line(double x1, double y1, double x2, double y2, string color, string? dashes = null) =>
        svg.Append(
            $"<line x1=\"{Number(x1)}\" y1=\"{Number(y1)}\" x2=\"{Number(x2)}\" y2=\"{Number(y2)}\" " +
            $"stroke=\"{color}\"{(dashes is null ? "" : $" stroke-dasharray=\"{dashes}\"")}/>\n");

    private void Text(double x, double y, string text, string anchor = "start", int size = 14, string weight = "400",
        string color = Ink) =>
        svg.Append(
            $"<text x=\"{Number(x)}\" y=\"{Number(y)}\" text-anchor=\"{anchor}\" font-size=\"{size}\" " +
            $"font-weight=\"{weight}\" fill=\"{color}\">{Escape(text)}</text>\n");

    private string End() => svg.Append("</svg>\n").ToString();
}
