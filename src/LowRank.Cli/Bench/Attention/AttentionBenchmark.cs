using System.CommandLine;
using System.Globalization;
using LowRank.Cli.Commands;
using LowRank.Cli.Views;
using Spectre.Console;

namespace LowRank.Cli.Bench.Attention;

/// <summary><c>lowrank bench attention</c>: attention in tiles against torch's operations.</summary>
internal sealed class AttentionBenchmark : IBenchmark
{
    public Command Build()
    {
        var rounds = new Option<int>("--rounds") { Description = "Rounds; each measures both once, the fastest of all counts.", DefaultValueFactory = _ => 20 };
        var threads = new Option<int?>("--threads") { Description = "Threads; one for each physical core unless given." };
        var json = new Option<bool>("--json") { Description = "Print a JSON object: shapes, each with name, rows, tokens, heads, key_value_heads, dimension, window, forward_seconds, backward_seconds, evaluation_seconds (without gradients), and each as forward_speedup, … against torch's." };
        return new Command("attention", "Attention forward and backward, in tiles and by torch's operations, for several shapes.") { rounds, threads, json }
            .Does(parsed => Run(parsed.GetValue(rounds), parsed.GetValue(threads), parsed.GetValue(json)), OptionUse.Always(rounds, threads, json), OptionUse.AtLeast(rounds, 1), OptionUse.Threads(threads));
    }

    private static int Run(int rounds, int? threads, bool json)
    {
        IReadOnlyList<AttentionTimes> found = AttentionBench.Run(rounds, threads);
        if (json) JsonOutput.WriteMeasured(new { shapes = found.Select(Json).ToArray() });
        else Show(found);
        return ExitCodes.Success;
    }

    public static object Json(AttentionTimes times) => new
    {
        name = times.Shape.Name,
        rows = times.Shape.Rows,
        tokens = times.Shape.Tokens,
        heads = times.Shape.Heads,
        key_value_heads = times.Shape.KeyValueHeads,
        dimension = times.Shape.Dimension,
        window = times.Shape.Window,
        forward_seconds = times.Forward,
        backward_seconds = times.Backward,
        evaluation_seconds = times.Evaluation,
        forward_speedup = times.TorchForward / times.Forward,
        backward_speedup = times.TorchBackward / times.Backward,
        evaluation_speedup = times.TorchEvaluation / times.Evaluation,
    };

    private static void Show(IReadOnlyList<AttentionTimes> found)
    {
        Table table = new Table().Border(TableBorder.Simple).AddColumn("");
        foreach (string name in (ReadOnlySpan<string>)["forward, ms", "of torch's", "backward, ms", "of torch's", "evaluation, ms", "of torch's"]) table.AddColumn(new TableColumn(name).RightAligned());
        foreach (AttentionTimes times in found)
        {
            string Milliseconds(double seconds) => (1e3 * seconds).ToString("f2", CultureInfo.InvariantCulture);
            string Share(double own, double torchs) => (own / torchs).ToString("f2", CultureInfo.InvariantCulture);
            table.AddRow(times.Shape.Name, Milliseconds(times.Forward), Share(times.Forward, times.TorchForward), Milliseconds(times.Backward), Share(times.Backward, times.TorchBackward),
                Milliseconds(times.Evaluation), Share(times.Evaluation, times.TorchEvaluation));
        }
        Screen.Write(table);
    }
}
