using LowRank.Recipes.Runs;
using static LowRank.Cli.Report.HtmlElement;

namespace LowRank.Cli.Report;

/// <summary>A chart in words and as a table, for those who do not see it.</summary>
internal static class ChartWords
{
    private const int MostRows = 24;

    /// <summary>A sentence a curve: where it begins, where it ends, and how low and how high it goes.</summary>
    public static HtmlElement Summary(Chart chart)
    {
        string At(MetricPoint point) => $"{Figures.Number(point.Value / chart.Divisor)} at step {Figures.Whole(point.Step)}";
        string Sentence(ChartLine line)
        {
            MetricSeries series = line.Series;
            if (series.Count == 1) return $"{line.Name}: {At(series.First)}.";
            if (series.Lowest.Value == series.Highest.Value) return $"{line.Name}: {Figures.Number(series.First.Value / chart.Divisor)} from step {Figures.Whole(series.First.Step)} to {Figures.Whole(series.Last.Step)}.";
            return $"{line.Name}: from {At(series.First)} to {At(series.Last)}; lowest {At(series.Lowest)}, highest {At(series.Highest)}.";
        }
        return E("ul", A("id", chart.SummaryId), Class("summary"), chart.Lines.Select(line => E("li", Sentence(line))));
    }

    /// <summary>Values at some steps: those of the evaluations where the chart has any.</summary>
    public static HtmlElement Table(Chart chart)
    {
        long[] steps = Spread(Steps(chart));
        bool thinned = chart.Lines.Any(line => line.Series.Count > MetricSeries.MostBuckets);
        return E("details", E("summary", $"{chart.Title} as a table"),
            E("div", Class("scroll"), A("tabindex", "0"), A("role", "region"), A("aria-label", $"{chart.Title} as a table"),
                E("table",
                    E("caption", thinned ? "Of long runs a value is the mean of the steps around it." : "Values at some of the steps; the run's metrics.jsonl has all."),
                    E("thead", E("tr", E("th", A("scope", "col"), "step"), chart.Lines.Select(line => E("th", A("scope", "col"), line.Name)))),
                    E("tbody", steps.Select(step => E("tr", E("th", A("scope", "row"), Figures.Whole(step)),
                        chart.Lines.Select(line => E("td", line.Series.At(step) is { } value ? Figures.Number(value / chart.Divisor) : "–"))))))));
    }

    private static List<long> Steps(Chart chart)
    {
        List<long> heldOut = [.. chart.Lines.Where(line => line.IsHeldOut).SelectMany(line => line.Series.Means()).Select(point => point.Step).Distinct().Order()];
        IEnumerable<long> all = chart.Lines.SelectMany(line => line.Series.Means()).Select(point => point.Step);
        return heldOut.Count >= 4 ? heldOut : [.. all.Distinct().Order()];
    }

    private static long[] Spread(List<long> steps) => steps.Count <= MostRows ? [.. steps]
        : [.. Enumerable.Range(0, MostRows).Select(row => steps[(int)((long)row * (steps.Count - 1) / (MostRows - 1))])];
}
