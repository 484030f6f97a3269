using System.Text;
using System.Text.Json;
using LowRank.Recipes.Runs;
using static LowRank.Cli.Report.HtmlElement;

namespace LowRank.Cli.Report;

/// <summary>A chart: quantities of one unit over the steps.</summary>
/// <param name="Id">Its id in the page.</param>
/// <param name="Title">The quantity, with its unit.</param>
/// <param name="Lines">Its curves.</param>
/// <param name="Divisor">Divides the values to convert them to the title's unit.</param>
internal sealed record Chart(string Id, string Title, IReadOnlyList<ChartLine> Lines, double Divisor = 1)
{
    /// <summary>The id of the chart's heading.</summary>
    public string TitleId => Id + "-title";

    /// <summary>The id of the chart's summary in words.</summary>
    public string SummaryId => Id + "-summary";
}

/// <summary>The charts' points for the page's script.</summary>
internal static class ChartData
{
    /// <summary>JSON that is safe inside a script element.</summary>
    /// <param name="charts">The charts.</param>
    /// <param name="runs">The number of runs.</param>
    /// <param name="lastStep">The end of the scale of steps.</param>
    /// <param name="buckets">The maximum number of points per curve.</param>
    public static string Json(IReadOnlyList<Chart> charts, int runs, long lastStep, int buckets)
    {
        var text = new StringBuilder();
        text.Append(
            $"{{\"lastStep\":{lastStep},\"looks\":[{string.Join(',', Enumerable.Range(0, runs)
                .Select(run => Quoted(RunLook.Class(run))))}],\"charts\":[");
        for (int i = 0; i < charts.Count; i++)
        {
            text.Append($"{(i == 0 ? "" : ",\n")}{{\"id\":{Quoted(charts[i].Id)},\"lines\":[");
            text.AppendJoin(',', charts[i].Lines.Select(line => Line(line, charts[i].Divisor, buckets)));
            text.Append("]}");
        }
        return text.Append("]}").ToString();
    }

    private static string Line(ChartLine line, double divisor, int buckets)
    {
        string means = line.Series.IsThinned(buckets)
            ? $",\"means\":{Points(line.Series.Means(buckets), divisor)}" : "";
        return $"{{\"name\":{Quoted(line.Name)},\"run\":{line.Run},\"heldOut\":{(line.IsHeldOut ? "true"
            : "false")},\"points\":{Points(line.Series.Curve(buckets), divisor)}{means}}}";
    }

    // Steps and values alternate in one flat list, which takes half as many brackets.
    private static string Points(IReadOnlyList<MetricPoint> points, double divisor) =>
        $"[{string.Join(',', points.Select(point =>
            FormattableString.Invariant($"{point.Step},{point.Value / divisor:G5}")))}]";

    // The default encoder escapes every character that could end the element.
    private static string Quoted(string text) => JsonSerializer.Serialize(text);
}

/// <summary>A curve of a chart.</summary>
/// <param name="Name">The quantity.</param>
/// <param name="Run">The number of its run.</param>
/// <param name="IsHeldOut">Whether it was measured at evaluations instead of at steps; such a curve is bolder, with a
/// dot at each point.</param>
/// <param name="Series">Its measurements.</param>
internal sealed record ChartLine(string Name, int Run, bool IsHeldOut, MetricSeries Series);

/// <summary>The charts that the measurements of some runs give.</summary>
internal static class ChartList
{
    private const string HeldOut = "eval_";

    // Counters, which have no meaningful curve, and values that other charts show.
    private static readonly HashSet<string> NotDrawn =
        ["tokens", "eval_tokens", "elapsed", "elapsed_seconds", "seconds", "epoch"];

    /// <summary>The charts: losses, then learning rate and gradients, then speed and memory, then the task's metrics
    /// and anything else that was measured.</summary>
    public static IReadOnlyList<Chart> Of(IReadOnlyList<RunRecord> runs)
    {
        List<Chart?> charts =
        [
            Make(runs, "Loss", 1, ("loss", "training"), ("eval_loss", "held out")),
            Make(runs, "Learning rate", 1, ("learning_rate", "learning rate")),
            Make(runs, "Gradient norm", 1, ("grad_norm", "gradient norm")),
            Make(runs, "Tokens per second", 1, ("tokens_per_second", "tokens per second")),
        ];
        string[] names = [.. runs.SelectMany(run => run.Metrics.Series.Keys).Distinct().Order(StringComparer.Ordinal)];
        string[] memory = [.. names.Where(name => name.Contains("memory", StringComparison.OrdinalIgnoreCase))];
        charts.Add(Make(runs, "Memory (GB)", 1e9, [.. memory.Select(name => (name, Words(name)))]));
        HashSet<string> drawn =
            [.. memory, "loss", "eval_loss", "learning_rate", "grad_norm", "tokens_per_second", .. NotDrawn];
        charts.AddRange(
            names.Where(name => !drawn.Contains(name))
            .OrderByDescending(name => name.StartsWith(HeldOut, StringComparison.Ordinal))
            .Select(name => Make(runs, Heading(name), 1, (name, Words(name)))));
        return [.. charts.OfType<Chart>().Select((chart, place) => chart with { Id = $"chart-{place + 1}" })];
    }

    private static Chart? Make(
        IReadOnlyList<RunRecord> runs, string title, double divisor, params (string Series, string Words)[] quantities)
    {
        List<ChartLine> lines =
        [
            .. from place in Enumerable.Range(0, runs.Count)
               from quantity in quantities
               let series = runs[place].Metrics.Series.GetValueOrDefault(quantity.Series)
               where series is { Count: > 0 }
               select new ChartLine(runs.Count == 1 ? quantity.Words : quantities.Length == 1 ? runs[place].Name
                   : $"{runs[place].Name}, {quantity.Words}",
                   place, quantity.Series.StartsWith(HeldOut, StringComparison.Ordinal), series),
        ];
        return lines.Count == 0 ? null : new Chart("", title, lines, divisor);
    }

    private static string Heading(string name) =>
        name.StartsWith(HeldOut, StringComparison.Ordinal) ? $"Held-out {Words(name[HeldOut.Length..])}"
            : name[..1].ToUpperInvariant() + Words(name)[1..];

    private static string Words(string name) =>
        name.Replace('_', ' ') is var words && words.EndsWith(" bytes", StringComparison.Ordinal) ? words[..^6] : words;
}

/// <summary>A linear scale of a chart that maps values to positions, with ticks at round values.</summary>
internal sealed class ChartScale
{
    private readonly double from, to;

    /// <summary>A scale over values.</summary>
    /// <param name="lowest">The lowest value.</param>
    /// <param name="highest">The highest.</param>
    /// <param name="from">The position of the lowest value.</param>
    /// <param name="to">The position of the highest value.</param>
    /// <param name="ticks">The maximum number of ticks.</param>
    public ChartScale(double lowest, double highest, double from, double to, int ticks)
    {
        (this.from, this.to) = (from, to);
        double size = Math.Max(Math.Abs(lowest), Math.Abs(highest));
        // Values that differ only in their last digits are shown as equal, because no ticks fit between them.
        if (highest - lowest <= Math.Max(size * 1e-9, 1e-300))
            (lowest, highest) = size <= 1e-300 ? (0, 1) : (lowest - size * 0.1, highest + size * 0.1);
        (Lowest, Highest) = (lowest, highest);
        Step = RoundStep((highest - lowest) / ticks);
        for (double at = Math.Ceiling(lowest / Step - 1e-9); at * Step <= highest + Step * 1e-9; at++)
            Ticks.Add(at * Step);
    }

    /// <summary>The value at the start of the scale.</summary>
    public double Lowest { get; }

    /// <summary>The value at the end of the scale.</summary>
    public double Highest { get; }

    /// <summary>The distance between ticks: 1, 2 or 5 times a power of ten.</summary>
    public double Step { get; }

    /// <summary>The values with a tick, ascending.</summary>
    public List<double> Ticks { get; } = [];

    /// <summary>The position of a value.</summary>
    public double Place(double value) => from + (value - Lowest) / (Highest - Lowest) * (to - from);

    /// <summary>A scale with some room at both ends; it starts at 0 if that wastes little space.</summary>
    public static ChartScale Roomy(double lowest, double highest, double from, double to, int ticks)
    {
        double room = (highest - lowest) * 0.05;
        return new ChartScale(
            lowest >= 0 && lowest < 0.6 * highest ? 0 : lowest - room, highest + room, from, to, ticks);
    }

    private static double RoundStep(double least)
    {
        double power = Math.Pow(10, Math.Floor(Math.Log10(least)));
        return power * ((least / power) switch { <= 1 + 1e-9 => 1, <= 2 + 1e-9 => 2, <= 5 + 1e-9 => 5, _ => 10 });
    }
}

/// <summary>A chart in words and as a table, for readers who cannot see it.</summary>
internal static class ChartWords
{
    private const int MostRows = 24;

    /// <summary>One sentence per curve: where it begins and ends, and its lowest and highest values.</summary>
    public static HtmlElement Summary(Chart chart)
    {
        string At(MetricPoint point) =>
            $"{Figures.Number(point.Value / chart.Divisor)} at step {Figures.Whole(point.Step)}";
        string Sentence(ChartLine line)
        {
            MetricSeries series = line.Series;
            if (series.Count == 1) return $"{line.Name}: {At(series.First)}.";
            if (series.Lowest.Value == series.Highest.Value)
                return $"{line.Name}: {Figures.Number(series.First.Value / chart.Divisor)} from step " +
                    $"{Figures.Whole(series.First.Step)} to {Figures.Whole(series.Last.Step)}.";
            return $"{line.Name}: from {At(series.First)} to {At(series.Last)}; lowest {At(series.Lowest)}, " +
                $"highest {At(series.Highest)}.";
        }
        return E("ul", A("id", chart.SummaryId), Class("summary"), chart.Lines.Select(line => E("li", Sentence(line))));
    }

    /// <summary>Values at some steps: those of the evaluations, if the chart has any.</summary>
    public static HtmlElement Table(Chart chart)
    {
        long[] steps = Spread(Steps(chart));
        bool thinned = chart.Lines.Any(line => line.Series.Count > MetricSeries.MostBuckets);
        return E("details", E("summary", $"{chart.Title} as a table"),
            E("div", Class("scroll"), A("tabindex", "0"), A("role", "region"),
                A("aria-label", $"{chart.Title} as a table"),
                E("table",
                    E("caption", thinned ? "In long runs each value is the mean of the surrounding steps."
                        : "Values at selected steps; the run's metrics.jsonl has all of them."),
                    E("thead", E("tr", E("th", A("scope", "col"), "step"),
                        chart.Lines.Select(line => E("th", A("scope", "col"), line.Name)))),
                    E("tbody", steps.Select(step => E("tr", E("th", A("scope", "row"), Figures.Whole(step)),
                        chart.Lines.Select(
                            line => E("td", line.Series.At(step) is { } value ? Figures.Number(value / chart.Divisor)
                            : "–"))))))));
    }

    private static List<long> Steps(Chart chart)
    {
        List<long> heldOut =
            [.. chart.Lines.Where(line => line.IsHeldOut).SelectMany(line => line.Series.Means())
            .Select(point => point.Step).Distinct().Order()];
        IEnumerable<long> all = chart.Lines.SelectMany(line => line.Series.Means()).Select(point => point.Step);
        return heldOut.Count >= 4 ? heldOut : [.. all.Distinct().Order()];
    }

    private static long[] Spread(List<long> steps) => steps.Count <= MostRows ? [.. steps]
        : [.. Enumerable.Range(0, MostRows)
            .Select(row => steps[(int)((long)row * (steps.Count - 1) / (MostRows - 1))])];
}

/// <summary>Draws a chart as SVG for readers without scripts; the page's script redraws it at the page's
/// width.</summary>
/// <param name="chart">The chart.</param>
/// <param name="lastStep">The end of the scale of steps, the same for all charts.</param>
/// <param name="buckets">The maximum number of points per curve.</param>
internal sealed class ChartDrawing(Chart chart, long lastStep, int buckets)
{
    private const double Width = 560, Height = 300, Left = 60, Right = 14, Top = 12, Bottom = 44;
    private const int MostDots = 60; // more would hide the line

    public HtmlElement Draw()
    {
        var curves = chart.Lines.Select(line => (Line: line, Points: line.Series.Curve(buckets))).ToList();
        IEnumerable<double> values = curves.SelectMany(curve => curve.Points)
            .Select(point => point.Value / chart.Divisor);
        var x = new ChartScale(0, Math.Max(1, lastStep), Left, Width - Right, 6);
        ChartScale y = ChartScale.Roomy(values.Min(), values.Max(), Height - Bottom, Top, 6);
        return E("svg", A("viewBox", $"0 0 {Width} {Height}"), A("role", "img"), A("aria-labelledby", chart.TitleId),
            A("aria-describedby", chart.SummaryId),
            Axes(x, y), curves.SelectMany(curve => Curve(curve.Line, curve.Points, x, y)));
    }

    private static IEnumerable<HtmlElement> Axes(ChartScale x, ChartScale y)
    {
        foreach (double tick in y.Ticks)
        {
            yield return E("line", Class("grid"), A("x1", Round(Left)), A("x2", Round(Width - Right)),
                A("y1", Round(y.Place(tick))), A("y2", Round(y.Place(tick))));
            yield return Label(Left - 8, y.Place(tick) + 4, "end", Figures.Tick(tick, y.Step));
        }
        foreach (double tick in x.Ticks.Where(tick => tick == Math.Round(tick)))
            yield return Label(x.Place(tick), Height - Bottom + 18, "middle", Figures.Tick(tick, x.Step));
        yield return Label((Left + Width - Right) / 2, Height - 6, "middle", "step");
        yield return E("line", Class("axis"), A("x1", Round(Left)), A("x2", Round(Width - Right)),
            A("y1", Round(Height - Bottom)), A("y2", Round(Height - Bottom)));
    }

    private IEnumerable<HtmlElement> Curve(
        ChartLine line, IReadOnlyList<MetricPoint> points, ChartScale x, ChartScale y)
    {
        string look = $"{RunLook.Class(line.Run)} {(line.IsHeldOut ? "held-out" : "step")}";
        yield return E("path", Class($"curve {look}"), A("d", Path(points, x, y)));
        if (points.Count > 1 && (!line.IsHeldOut || points.Count > MostDots)) yield break;
        foreach (MetricPoint point in points)
            yield return E("circle", Class($"dot {look}"), A("cx", Round(x.Place(point.Step))),
                A("cy", Round(y.Place(point.Value / chart.Divisor))), A("r", "3.5"));
    }

    private string Path(IReadOnlyList<MetricPoint> points, ChartScale x, ChartScale y)
    {
        var path = new StringBuilder();
        foreach (MetricPoint point in points)
            path.Append(path.Length == 0 ? 'M' : 'L').Append(Round(x.Place(point.Step))).Append(' ')
                .Append(Round(y.Place(point.Value / chart.Divisor)));
        return path.ToString();
    }

    private static HtmlElement Label(double x, double y, string anchor, string text) =>
        E("text", A("x", Round(x)), A("y", Round(y)), A("text-anchor", anchor), text);

    private static string Round(double place) => place.ToString("0.#");
}
