using System.Security;
using System.Text;

namespace LowRank.Pages;

/// <summary>Draws charts as SVG: a white card with dark text, legible on light and dark pages; a title and a
/// description for screen readers; colours that colour-blind readers can tell apart, and a mark shape for each
/// series.</summary>
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

    /// <summary>Lines, or only points, over two axes.</summary>
    /// <param name="title">The title.</param>
    /// <param name="description">A description in one or two sentences, with the important numbers.</param>
    /// <param name="x">The horizontal axis.</param>
    /// <param name="y">The vertical axis; values beyond its ends are drawn at the ends.</param>
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
    /// <param name="title">The title.</param>
    /// <param name="description">A description in one or two sentences, with the important numbers.</param>
    /// <param name="label">The quantity of the bar's length, with the unit.</param>
    /// <param name="bars">The bars from top to bottom.</param>
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
        string Corner(ChartPoint point) => $"{Number(X(x, point.X))},{Number(Y(y, point.Y))}";
        if (series.IsJoined)
            svg.Append(
                $"<polyline fill=\"none\" stroke=\"{Colors[color]}\" stroke-width=\"2.5\" " +
                "stroke-linejoin=\"round\" " +
                $"points=\"{string.Join(' ', series.Points.Select(Corner))}\"/>\n");
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

/// <summary>An axis of a chart.</summary>
/// <param name="Label">The quantity, with the unit.</param>
/// <param name="Ticks">The marked values; the first and the last are the ends.</param>
/// <param name="IsLogarithmic">Whether the axis is logarithmic; all values must then be above 0.</param>
public sealed record ChartAxis(string Label, IReadOnlyList<double> Ticks, bool IsLogarithmic = false)
{
    /// <summary>The position of a value between the ends, 0 to 1; outside this range beyond them.</summary>
    public double Share(double value) => (Scale(value) - Scale(Ticks[0])) / (Scale(Ticks[^1]) - Scale(Ticks[0]));

    /// <summary>An axis that covers all values, marked at 1, 2 and 5 times powers of ten.</summary>
    public static ChartAxis Around(
        string label, IEnumerable<double> values, bool logarithmic = false, bool fromZero = false)
    {
        double[] all = [.. values];
        double low = fromZero ? 0 : all.Min(), high = all.Max();
        return new ChartAxis(label, logarithmic ? Decades(low, high) : Even(low, high), logarithmic);
    }

    /// <summary>The same with fewer marks: the ends and the powers of ten between them.</summary>
    public ChartAxis AtDecades() =>
        this with { Ticks = [Ticks[0], .. Ticks.Skip(1).SkipLast(1).Where(IsPowerOfTen), Ticks[^1]] };

    private static bool IsPowerOfTen(double tick) => Math.Abs(Math.Log10(tick) - Math.Round(Math.Log10(tick))) < 1e-6;

    private static List<double> Even(double low, double high)
    {
        double rough = (high - low) / 5;
        if (rough <= 0) return [low - 1, low, low + 1];
        double power = Math.Pow(10, Math.Floor(Math.Log10(rough)));
        double step = new[] { 1, 2, 5, 10 }.Select(factor => factor * power).First(candidate => candidate >= rough);
        long first = (long)Math.Floor(low / step), last = (long)Math.Ceiling(high / step);
        return [.. Enumerable.Range(0, (int)(last - first) + 1).Select(i => Math.Round((first + i) * step, 10))];
    }

    private static List<double> Decades(double low, double high)
    {
        List<double> all =
            [.. Enumerable.Range(-8, 17)
            .SelectMany(power => new[] { 1, 2, 5 }.Select(factor => Math.Round(factor * Math.Pow(10, power), 10)))];
        int first = all.FindLastIndex(tick => tick <= low), last = all.FindIndex(tick => tick >= high);
        return all[first..(last + 1)];
    }

    private double Scale(double value) => IsLogarithmic ? Math.Log10(value) : value;
}

/// <summary>Finds positions for a chart's texts where they cover neither marks nor lines nor each other.</summary>
/// <param name="left">The left end of the drawing, in pixels.</param>
/// <param name="right">Its right end.</param>
/// <param name="bottom">Its lower end.</param>
internal sealed class ChartLabels(double left, double right, double bottom)
{
    private const double CharacterWidth = 7.2, Ascent = 11, Descent = 3; // of the font at 13 pixels

    private readonly List<(double Left, double Top, double Right, double Bottom)> taken = [];

    /// <summary>Keeps texts off a mark.</summary>
    public void Avoid(double x, double y, double size) => taken.Add((x - size, y - size, x + size, y + size));

    /// <summary>Keeps texts off a straight line.</summary>
    public void AvoidLine(double fromX, double fromY, double toX, double toY)
    {
        const int Steps = 40;
        for (int i = 1; i < Steps; i++)
            Avoid(fromX + (toX - fromX) * i / Steps, fromY + (toY - fromY) * i / Steps, size: 2);
    }

    /// <summary>Positions beside a point.</summary>
    public (double X, double Y, string Anchor) Beside(string text, double x, double y) => Place(text,
    [
        (x + 9, y - 9, "start"), (x - 9, y - 9, "end"), (x + 9, y + 19, "start"), (x - 9, y + 19, "end"),
            (x + 12, y + 4, "start"), (x - 12, y + 4, "end"),
        (x, y - 14, "middle"), (x, y + 24, "middle"), (x + 9, y - 24, "start"), (x - 9, y - 24, "end"),
            (x + 9, y + 34, "start"), (x - 9, y + 34, "end"),
    ]);

    /// <summary>Of the given positions, the one where a text covers least; the first if several are equal.</summary>
    public (double X, double Y, string Anchor) Place(
        string text, IReadOnlyList<(double X, double Y, string Anchor)> offered)
    {
        (double X, double Y, string Anchor) best = offered.MinBy(place => Covered(Box(text, place)));
        taken.Add(Box(text, best));
        return best;
    }

    private static (double Left, double Top, double Right, double Bottom) Box(
        string text, (double X, double Y, string Anchor) place)
    {
        double width = text.Length * CharacterWidth,
            start = place.X - place.Anchor switch { "end" => width, "middle" => width / 2, _ => 0 };
        return (start, place.Y - Ascent, start + width, place.Y + Descent);
    }

    private double Covered((double Left, double Top, double Right, double Bottom) box)
    {
        double beside = Math.Max(0, left - box.Left) + Math.Max(0, box.Right - right - 8),
            below = Math.Max(0, box.Bottom - bottom);
        return beside * (Ascent + Descent) + below * (box.Right - box.Left)
            + taken.Sum(other => Math.Max(0, Math.Min(box.Right, other.Right) - Math.Max(box.Left, other.Left))
            * Math.Max(0, Math.Min(box.Bottom, other.Bottom) - Math.Max(box.Top, other.Top)));
    }
}

/// <summary>A series of points.</summary>
/// <param name="Name">The name in the legend.</param>
/// <param name="Points">The points, in the order in which a line joins them.</param>
/// <param name="IsJoined">Whether a line joins them.</param>
public sealed record ChartSeries(string Name, IReadOnlyList<ChartPoint> Points, bool IsJoined = true);

/// <summary>A point of a line.</summary>
/// <param name="X">The horizontal position.</param>
/// <param name="Y">The vertical position.</param>
/// <param name="Label">A text beside it; null for none.</param>
public sealed record ChartPoint(double X, double Y, string? Label = null);

/// <summary>A bar.</summary>
/// <param name="Name">The name of the bar.</param>
/// <param name="Value">The length; 0 or more.</param>
/// <param name="Label">The text at its end.</param>
/// <param name="Color">The index of the chart's colour, from 0.</param>
public sealed record ChartBar(string Name, double Value, string Label, int Color = 0);
