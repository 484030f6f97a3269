using System.Globalization;
using LowRank.Cli.Views;
using Spectre.Console;

namespace LowRank.Cli.Bench.Growth;

/// <summary>What grew as tables: the runs, and the lines through them.</summary>
internal static class GrowthView
{
    public static void Show(GrowthMeasurement found)
    {
        var lines = new Table().Border(TableBorder.Simple).AddColumn("");
        foreach (string column in (string[])["each costs", "none would cost", "farthest from the line"]) lines.AddColumn(new TableColumn(column).RightAligned());
        foreach (GrowthSeries series in found.All)
        {
            Screen.Write(Runs(series));
            lines.AddRow($"{series.Grows}: peak above the weights", Text($"{series.Memory.Slope:#,0.##} bytes a {series.One}"), Text($"{series.Memory.Intercept / 1e6:0.0} MB"), Percent(series.Memory));
            lines.AddRow($"{series.Grows}: processor time of a step", Text($"{series.Time.Slope:#,0.##} ns a {series.One}"), Text($"{series.Time.Intercept / 1e6:0.0} ms"), Percent(series.Time));
        }
        Screen.Write(lines);
    }

    private static Table Runs(GrowthSeries series)
    {
        var table = new Table().Border(TableBorder.Simple).AddColumn(series.Grows);
        foreach (string column in (string[])["rows", "tokens a step", "weights", "peak MB", "above the weights", "step ms"]) table.AddColumn(new TableColumn(column).RightAligned());
        foreach (GrowthPoint point in series.Points)
            table.AddRow("", Text($"{point.Rows:N0}"), Text($"{point.Tokens:N0}"), Text($"{point.Weights:N0}"), Text($"{point.PeakBytes / 1e6:0.0}"), Text($"{point.PeakAboveWeightsBytes / 1e6:0.0}"), Text($"{point.StepNanoseconds / 1e6:0.0}"));
        return table;
    }

    private static string Percent(GrowthLine line) => Text($"{100 * line.LargestDeviation:0.0} %");

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
