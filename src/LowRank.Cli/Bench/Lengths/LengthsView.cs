using System.Globalization;
using LowRank.Cli.Views;
using Spectre.Console;

namespace LowRank.Cli.Bench.Lengths;

/// <summary>A measurement of real lengths as a table or as JSON.</summary>
internal static class LengthsView
{
    public static void Show(LengthsMeasurement found, bool json)
    {
        if (json)
        {
            JsonOutput.WriteMeasured(Json(found));
            return;
        }
        Table table = new Table().Border(TableBorder.Simple).AddColumn("");
        foreach (string column in (string[])["labelled tokens/s", "tokens/s", "positions computed a label", "peak memory"]) table.AddColumn(new TableColumn(column).RightAligned());
        foreach ((string name, LoopMeasurement loop) in Loops(found))
        {
            string[] cells = [$"{loop.LabelsPerSecond:f0}", $"{loop.TokensPerSecond:f0}", $"{(double)loop.Positions / loop.Labels:f2}", $"{loop.PeakBytes / 1e6:f0} MB"];
            table.AddRow([name.Replace('_', ' '), .. cells]);
        }
        Screen.Write(table);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"packed {found.PackedSpeedup:f2} times plain; shared {found.SharedSpeedup:f2} times plain, {found.SharedSpeedupOnSameRows:f2} times plain on the same rows"));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"in processor time, which other programs change less: packed {found.PackedSpeedupOfProcessor:f2} times plain, shared {found.SharedSpeedupOfProcessor:f2} times"));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"losses and gradient norms differ from the plain loop's by {found.LargestDifference:e1} of their size at most"));
    }

    private static IEnumerable<(string Name, LoopMeasurement Loop)> Loops(LengthsMeasurement found) =>
        [("plain", found.Plain), ("packed", found.Packed), ("plain_grouped", found.PlainGrouped), ("shared", found.Shared)];

    private static object Json(LengthsMeasurement found) => new
    {
        rows = found.Rows,
        prompts = found.Prompts,
        packed_speedup = found.PackedSpeedup,
        shared_speedup = found.SharedSpeedup,
        shared_speedup_on_same_rows = found.SharedSpeedupOnSameRows,
        packed_speedup_of_processor = found.PackedSpeedupOfProcessor,
        shared_speedup_of_processor = found.SharedSpeedupOfProcessor,
        largest_difference = found.LargestDifference,
        loops = Loops(found).ToDictionary(loop => loop.Name, loop => new
        {
            labelled_tokens_per_second = loop.Loop.LabelsPerSecond,
            tokens_per_second = loop.Loop.TokensPerSecond,
            labels = loop.Loop.Labels,
            tokens = loop.Loop.Tokens,
            positions = loop.Loop.Positions,
            seconds = loop.Loop.Seconds,
            processor_seconds = loop.Loop.ProcessorSeconds,
            peak_memory_bytes = loop.Loop.PeakBytes,
        }),
    };
}
