using System.CommandLine;
using System.Text.Json;
using LowRank.Cli.Common;
using LowRank.Quantization;
using LowRank.Recipes;
using LowRank.Training;
using Spectre.Console;

namespace LowRank.Cli.Bench;

/// <summary><c>lowrank bench quantized</c>: compares a recipe's run on a quantised base with float32.</summary>
internal sealed class QuantizedBenchmark : IBenchmark
{
    public Command Build()
    {
        var recipe = new Argument<string>("recipe")
        {
            Description = "The recipe, with validation data.",
            DefaultValueFactory = _ => "recipes/quickstart.yaml",
        };
        var format = new Option<string>("--base-dtype")
        {
            Description = $"{string.Join(", ", WeightFormats.All.Select(known => known.Name))}.",
            DefaultValueFactory = _ => "nf4",
        };
        var set = new Option<string[]>("--set")
        {
            Description = "Change a recipe key in both runs: section.key=value. May be repeated.",
            DefaultValueFactory = _ => [],
        };
        var json = new Option<bool>("--json")
        {
            Description =
                "Print a JSON object: float32 and the format, each with held_out_loss and tokens_per_second; " +
                "loss_ratio, step_ratio (the format over float32), bytes_per_weight.",
        };
        var output = new Option<string?>("--output")
        {
            Description =
                "Run the recipe in this process with this output folder and print the result as one line of JSON.",
            Hidden = true,
        };
        return new Command("quantized",
            "Train a recipe on a quantised base and on float32, one after the other, each in its own process: " +
            "held-out loss, time, bytes per weight. Saves nothing.")
            { recipe, format, set, json, output }
            .Does(parsed => parsed.GetValue(output) is { } folder
                ? QuantizedRun.Measure(
                    parsed.GetRequiredValue(recipe), parsed.GetRequiredValue(format), folder,
                    parsed.GetValue(set) ?? [])
                : Run(parsed.GetRequiredValue(recipe), parsed.GetRequiredValue(format), parsed.GetValue(set)
                ?? [], parsed.GetValue(json)),
                OptionUse.Always(format, set, json, output),
                OptionUse.Values(format, value => WeightFormats.All.Any(known => known.Name == value),
                $"one of {string.Join(", ", WeightFormats.All.Select(known => known.Name))}"));
    }

    private static int Run(string recipe, string format, string[] set, bool json)
    {
        string root = Directory.CreateTempSubdirectory("lowrank-quantized-").FullName;
        try
        {
            // reports problems here instead of in the child process
            QuantizedRun.Read(recipe, root, [.. set, $"base_dtype={format}"]);
            QuantizedOutcome plain = Child(recipe, WeightFormats.Float32, root, set),
                packed = Child(recipe, format, root, set);
            var found = new QuantizedMeasurement(format, plain, packed);
            if (json) MeasuredJson.Write(found.Json());
            else Show(found);
            return ExitCodes.Success;
        }
        finally
        {
            Directory.Delete(root, recursive: true);
        }
    }

    private static QuantizedOutcome Child(string recipe, string format, string root, string[] set) =>
        BenchProcess.Run<QuantizedOutcome>(
        ["bench", "quantized", recipe, "--base-dtype", format, "--output", Path.Combine(root, format),
            .. set.SelectMany(key => new[] { "--set", key })]).Found;

    private static void Show(QuantizedMeasurement found)
    {
        var table = new Table().AddColumn("").AddColumn(WeightFormats.Float32).AddColumn(found.Format)
            .AddColumn("ratio");
        table.AddRow("held-out loss, nats per token", $"{found.Plain.HeldOutLoss:0.0000}",
            $"{found.Packed.HeldOutLoss:0.0000}", $"{found.LossRatio:0.000}");
        table.AddRow("tokens per second", $"{found.Plain.TokensPerSecond:0}", $"{found.Packed.TokensPerSecond:0}",
            $"{1 / found.StepRatio:0.00}");
        table.AddRow("bytes per quantised weight", "4", $"{found.Packed.BytesPerWeight:0.000}",
            $"{found.Packed.BytesPerWeight / sizeof(float):0.000}");
        AnsiConsole.Write(table);
    }
}

/// <summary>The measurements of <c>lowrank bench quantized</c>.</summary>
/// <param name="Format">The format of the quantised base.</param>
/// <param name="Plain">The run on float32.</param>
/// <param name="Packed">The run on the format.</param>
internal sealed record QuantizedMeasurement(string Format, QuantizedOutcome Plain, QuantizedOutcome Packed)
{
    /// <summary>Held-out loss with the format divided by that with float32.</summary>
    public double LossRatio => Packed.HeldOutLoss / Plain.HeldOutLoss;

    /// <summary>Time per token with the format divided by that with float32.</summary>
    public double StepRatio => Plain.TokensPerSecond / Packed.TokensPerSecond;

    /// <summary>The object that <c>--json</c> prints.</summary>
    public IReadOnlyDictionary<string, object> Json() => new Dictionary<string, object>
    {
        ["float32"] = Run(Plain),
        [Format] = Run(Packed),
        ["loss_ratio"] = LossRatio,
        ["step_ratio"] = StepRatio,
        ["bytes_per_weight"] = Packed.BytesPerWeight,
    };

    private static object Run(QuantizedOutcome outcome) =>
        new { held_out_loss = outcome.HeldOutLoss, tokens_per_second = outcome.TokensPerSecond };
}

/// <summary>The result of one run.</summary>
/// <param name="HeldOutLoss">Held-out loss at the end, in nats per token.</param>
/// <param name="TokensPerSecond">Trained tokens divided by the time spent in steps.</param>
/// <param name="BytesPerWeight">Bytes per quantised weight, including scales; 4 if none is quantised.</param>
internal sealed record QuantizedOutcome(double HeldOutLoss, double TokensPerSecond, double BytesPerWeight);

/// <summary>Runs a recipe in this process and records the final held-out loss.</summary>
internal sealed class QuantizedRun : ITrainingObserver
{
    private double? loss;

    /// <summary>The final held-out loss, in nats per token.</summary>
    public double Loss => loss ?? throw new InvalidOperationException("The run ended without an evaluation.");

    /// <summary>Loads the recipe for a run.</summary>
    /// <exception cref="InputException">The recipe cannot be read, or evaluates nothing.</exception>
    public static Recipe Read(string path, string output, IReadOnlyList<string> set)
    {
        Recipe recipe =
            Recipe.Load(path, [.. set, "comparison=null", $"output={JsonSerializer.Serialize(output)}"]);
        return recipe.Data is { Validation.Count: 0, ValidationShare: 0 }
            ? throw new InputException(
                $"{path} has neither data.validation nor data.validation_share, so there is no held-out loss to " +
                "compare. Use a recipe that has one of them.")
            : recipe;
    }

    /// <summary>Runs the recipe and prints a <see cref="QuantizedOutcome"/> as a line of JSON.</summary>
    /// <exception cref="InputException">The recipe cannot run.</exception>
    public static int Measure(string path, string baseDtype, string output, IReadOnlyList<string> set)
    {
        using RecipeRun run = RecipeRun.Prepare(
            Read(path, output, [.. set, $"base_dtype={baseDtype}"]));
        var observer = new QuantizedRun();
        TrainingResult result = run.Train(observer);
        IReadOnlyCollection<PackedWeight> packed = [.. run.Model.Network.PackedWeights.Values];
        double bytes = packed.Count == 0 ? sizeof(float)
            : (double)packed.Sum(weight => weight.Bytes) / packed.Sum(weight => weight.ElementCount);
        Console.WriteLine(
            JsonSerializer.Serialize(
                new QuantizedOutcome(observer.Loss, result.Tokens / result.Elapsed.TotalSeconds, bytes),
                JsonOutput.Compact));
        return ExitCodes.Success;
    }

    public void Started(TrainingPlan plan)
    {
        // The recipe already defines the plan.
    }

    public void Stepped(TrainingStep step)
    {
        // The result contains the totals.
    }

    public void Evaluated(EvaluationResult evaluation) => loss = evaluation.Loss;

    public void Finished(TrainingResult result)
    {
        // The caller gets the result.
    }
}
