using System.CommandLine;
using System.Globalization;
using LowRank.Cli.Common;
using LowRank.Kernels;
using LowRank.Recipes;
using LowRank.Training;
using Spectre.Console;
using static TorchSharp.torch;

namespace LowRank.Cli.Bench;

/// <summary><c>lowrank bench compute</c>: compares what a recipe learns in float32 and with bfloat16 products, over
/// several seeds.</summary>
internal sealed class ComputeBenchmark : IBenchmark
{
    public Command Build()
    {
        var recipe = new Argument<string>("recipe")
        {
            Description = "The recipe, with validation data.",
            DefaultValueFactory = _ => "recipes/quickstart.yaml",
        };
        var seeds = new Option<long[]>("--seeds")
        {
            Description = "Seeds of the runs. May be repeated, or followed by several.",
            DefaultValueFactory = _ => [1, 2, 3, 4, 5],
            AllowMultipleArgumentsPerToken = true,
        };
        var set = new Option<string[]>("--set")
        {
            Description = "Change a recipe key in all runs: section.key=value. May be repeated.",
            DefaultValueFactory = _ => [],
        };
        var json = new Option<bool>("--json")
        {
            Description =
                "Print a JSON object: units (device or emulated), and seeds, each with seed and the held-out losses " +
                "float32 and bfloat16.",
        };
        return new Command("compute",
            "Train a recipe in float32 and with compute_dtype bfloat16, one after the other for each seed: held-out " +
            "loss. Without units for bfloat16 their products are emulated: the same values up to the order of sums, " +
            "at float32's speed. Saves nothing.")
            { recipe, seeds, set, json }
            .Does(parsed => Run(parsed.GetRequiredValue(recipe), parsed.GetRequiredValue(seeds),
                parsed.GetValue(set) ?? [], parsed.GetValue(json)),
                OptionUse.Always(seeds, set, json),
                OptionUse.Values(seeds, values => values!.All(seed => seed >= 0), "numbers of at least 0"));
    }

    private static int Run(string recipe, long[] seeds, string[] set, bool json)
    {
        IReadOnlyList<ComputeOutcome> found = Measure(recipe, seeds, set);
        string units = BFloat16Units.Missing(CPU) is null ? "device" : "emulated";
        if (json)
        {
            MeasuredJson.Write(new Dictionary<string, object>
            {
                ["units"] = units,
                ["seeds"] = found.Select(
                    run => new { seed = run.Seed, float32 = run.Float32, bfloat16 = run.BFloat16 }),
            });
            return ExitCodes.Success;
        }
        var table = new Table().AddColumn("seed").AddColumn("float32")
            .AddColumn(units == "device" ? "bfloat16" : "bfloat16, emulated");
        foreach (ComputeOutcome run in found)
            table.AddRow(run.Seed.ToString(CultureInfo.InvariantCulture), Text(run.Float32), Text(run.BFloat16));
        table.AddRow("mean", Text(found.Average(run => run.Float32)), Text(found.Average(run => run.BFloat16)));
        AnsiConsole.Write(table);
        return ExitCodes.Success;
    }

    /// <summary>Trains in both types for each seed.</summary>
    /// <exception cref="InputException">The recipe cannot run, or evaluates nothing.</exception>
    public static IReadOnlyList<ComputeOutcome> Measure(string recipe, IReadOnlyList<long> seeds, string[] set)
    {
        string root = Directory.CreateTempSubdirectory("lowrank-compute-").FullName;
        try
        {
            return [.. seeds.Select(seed => new ComputeOutcome(seed,
                Loss(recipe, seed, ComputeTypes.Float32, root, set),
                Loss(recipe, seed, ComputeTypes.BFloat16, root, set)))];
        }
        finally
        {
            Directory.Delete(root, recursive: true);
        }
    }

    private static double Loss(string path, long seed, string compute, string root, string[] set)
    {
        Recipe recipe = QuantizedRun.Read(path, Path.Combine(root, $"{compute}-{seed}"),
            [.. set, string.Create(CultureInfo.InvariantCulture, $"training.seed={seed}"), $"compute_dtype={compute}"]);
        using IDisposable? stated = BFloat16Units.Missing(Devices.Parse(recipe.Device)) is null ? null
            : BFloat16Units.State(ComputeType.EmulatedBFloat16);
        using RecipeRun run = RecipeRun.Prepare(recipe);
        var observer = new QuantizedRun();
        run.Train(observer);
        return observer.Loss;
    }

    private static string Text(double loss) => loss.ToString("0.0000", CultureInfo.InvariantCulture);
}

/// <summary>The held-out losses of a seed's two runs, in nats per token.</summary>
/// <param name="Seed">The seed.</param>
/// <param name="Float32">In float32.</param>
/// <param name="BFloat16">With bfloat16 products.</param>
internal sealed record ComputeOutcome(long Seed, double Float32, double BFloat16);
