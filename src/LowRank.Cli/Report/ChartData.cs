using System.Text;
using System.Text.Json;
using LowRank.Recipes.Runs;

namespace LowRank.Cli.Report;

/// <summary>The charts' points for the page's script.</summary>
internal static class ChartData
{
    /// <summary>JSON that is safe inside a script element.</summary>
    /// <param name="charts">The charts.</param>
    /// <param name="runs">How many runs there are.</param>
    /// <param name="lastStep">The end of the scale of steps.</param>
    /// <param name="buckets">How many points a curve has at most.</param>
    public static string Json(IReadOnlyList<Chart> charts, int runs, long lastStep, int buckets)
    {
        var text = new StringBuilder();
        text.Append($"{{\"lastStep\":{lastStep},\"looks\":[{string.Join(',', Enumerable.Range(0, runs).Select(run => Quoted(RunLook.Class(run))))}],\"charts\":[");
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
        string means = line.Series.IsThinned(buckets) ? $",\"means\":{Points(line.Series.Means(buckets), divisor)}" : "";
        return $"{{\"name\":{Quoted(line.Name)},\"run\":{line.Run},\"heldOut\":{(line.IsHeldOut ? "true" : "false")},\"points\":{Points(line.Series.Curve(buckets), divisor)}{means}}}";
    }

    // Steps and values in turn: half the brackets.
    private static string Points(IReadOnlyList<MetricPoint> points, double divisor) =>
        $"[{string.Join(',', points.Select(point => FormattableString.Invariant($"{point.Step},{point.Value / divisor:G5}")))}]";

    // The default encoder leaves no character that could end the element.
    private static string Quoted(string text) => JsonSerializer.Serialize(text);
}
