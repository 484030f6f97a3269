using System.CommandLine;
using LowRank.Cli.Commands;
using LowRank.Quantization;
using Spectre.Console;

namespace LowRank.Cli.Bench.Quantized;

/// <summary><c>lowrank bench quantized</c>: what a recipe's run loses and gains on a quantised base.</summary>
internal sealed class QuantizedBenchmark : IBenchmark
{
    public Command Build()
    {
        var recipe = new Argument<string>("recipe") { Description = "The recipe, with validation data.", DefaultValueFactory = _ => "recipes/quickstart.yaml" };
        var format = new Option<string>("--base-dtype") { Description = $"{string.Join(", ", WeightFormats.All.Select(known => known.Name))}.", DefaultValueFactory = _ => "nf4" };
        var set = new Option<string[]>("--set") { Description = "Change a key of the recipe in both runs: section.key=value. May be repeated.", DefaultValueFactory = _ => [] };
        var json = new Option<bool>("--json")
        {
            Description = "Print a JSON object: float32 and the format, each with held_out_loss and tokens_per_second; loss_ratio, step_ratio (the format over float32), bytes_per_weight.",
        };
        var output = new Option<string?>("--output") { Description = "Run the recipe in this process into this folder, and print what came of it as one line of JSON.", Hidden = true };
        return new Command("quantized", "Train a recipe on a quantised base and on float32, one after the other, each in a process of its own: held-out loss, time, bytes of a weight. Nothing is kept.")
            { recipe, format, set, json, output }
            .Does(parsed => parsed.GetValue(output) is { } folder
                ? QuantizedRun.Measure(parsed.GetRequiredValue(recipe), parsed.GetRequiredValue(format), folder, parsed.GetValue(set) ?? [])
                : Run(parsed.GetRequiredValue(recipe), parsed.GetRequiredValue(format), parsed.GetValue(set) ?? [], parsed.GetValue(json)),
                OptionUse.Always(format, set, json, output),
                OptionUse.Values(format, value => WeightFormats.All.Any(known => known.Name == value), $"one of {string.Join(", ", WeightFormats.All.Select(known => known.Name))}"));
    }

    private static int Run(string recipe, string format, string[] set, bool json)
    {
        string root = Directory.CreateTempSubdirectory("lowrank-quantized-").FullName;
        try
        {
            QuantizedRun.Read(recipe, format, root, set); // what is wrong with it is said here, not by a process of ours
            QuantizedOutcome plain = Child(recipe, WeightFormats.Float32, root, set), packed = Child(recipe, format, root, set);
            var found = new QuantizedMeasurement(format, plain, packed);
            if (json) JsonOutput.WriteMeasured(found.Json());
            else Show(found);
            return ExitCodes.Success;
        }
        finally
        {
            Directory.Delete(root, recursive: true);
        }
    }

    private static QuantizedOutcome Child(string recipe, string format, string root, string[] set) => BenchProcess.Run<QuantizedOutcome>(
        ["bench", "quantized", recipe, "--base-dtype", format, "--output", Path.Combine(root, format), .. set.SelectMany(key => new[] { "--set", key })]).Found;

    private static void Show(QuantizedMeasurement found)
    {
        var table = new Table().AddColumn("").AddColumn(WeightFormats.Float32).AddColumn(found.Format).AddColumn("ratio");
        table.AddRow("held-out loss, nats a token", $"{found.Plain.HeldOutLoss:0.0000}", $"{found.Packed.HeldOutLoss:0.0000}", $"{found.LossRatio:0.000}");
        table.AddRow("tokens a second", $"{found.Plain.TokensPerSecond:0}", $"{found.Packed.TokensPerSecond:0}", $"{1 / found.StepRatio:0.00}");
        table.AddRow("bytes of a quantised weight", "4", $"{found.Packed.BytesPerWeight:0.000}", $"{found.Packed.BytesPerWeight / sizeof(float):0.000}");
        AnsiConsole.Write(table);
    }
}
