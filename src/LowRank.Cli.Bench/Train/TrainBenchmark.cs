using System.CommandLine;
using LowRank.Cli.Common;
using LowRank.Kernels;
using LowRank.Quantization;

namespace LowRank.Cli.Bench.Train;

/// <summary><c>lowrank bench train</c>.</summary>
internal sealed class TrainBenchmark : IBenchmark
{
    public Command Build()
    {
        var defaults = new TrainBenchOptions();
        Argument<string?> shape = ShapeArgument.Create();
        Option<int?> layers = ShapeArgument.Layers();
        var batch = new Option<int>("--batch")
        {
            Description = "Rows per step.",
            DefaultValueFactory = _ => defaults.Batch,
        };
        var length = new Option<int>("--length")
        {
            Description = "Tokens per row.",
            DefaultValueFactory = _ => defaults.Length,
        };
        var rank = new Option<int>("--rank")
        {
            Description = "Rank of the pairs.",
            DefaultValueFactory = _ => defaults.Rank,
        };
        var targets = new Option<string[]>("--targets")
        {
            Description = "Names of the adapted modules, or all-linear. Default: the model type's.",
            AllowMultipleArgumentsPerToken = true,
            DefaultValueFactory = _ => [],
        };
        var labelled = new Option<double>("--labelled")
        {
            Description = "Share of each row, at its end, to predict.",
            DefaultValueFactory = _ => defaults.Labelled,
        };
        var dropout = new Option<double>("--dropout")
        {
            Description = "Dropout of the model and the adapter.",
            DefaultValueFactory = _ => defaults.Dropout,
        };
        var checkpointing = new Option<bool>("--checkpointing")
        {
            Description = "Recompute blocks in the backward pass (training.gradient_checkpointing).",
        };
        var steps = new Option<int>("--steps")
        {
            Description = "Number of timed steps.",
            DefaultValueFactory = _ => defaults.Steps,
        };
        var device = new Option<string>("--device")
        {
            Description = "cpu, cuda, cuda:N or mps. Peak memory is that of the process, without device memory.",
            DefaultValueFactory = _ => defaults.Device,
        };
        var baseDtype = new Option<string>("--base-dtype")
        {
            Description =
                $"How to store the weights of the base's linear layers: {string.Join(", ", WeightFormats.Names)}.",
            DefaultValueFactory = _ => defaults.BaseDtype,
        };
        var computeDtype = new Option<string>("--compute-dtype")
        {
            Description =
                "The type of the inputs of products with the base's weights, and of the limit's: " +
                $"{string.Join(", ", Devices.ComputeTypes)}.",
            DefaultValueFactory = _ => defaults.ComputeDtype,
        };
        var tf32 = new Option<bool>("--tf32") { Description = "Multiply in TF32 on CUDA, like the recipe key tf32." };
        var alike = new Option<bool>("--alike")
        {
            Description =
                "Draw weights once per shape and use them for all layers, without a file: a model of billions stands " +
                "in seconds, and its values do not matter for the time.",
        };
        var threads = new Option<int?>("--threads")
        {
            Description = "Number of torch threads. Default: OMP_NUM_THREADS, else one per physical core.",
        };
        var beside = new Option<string[]>("--beside")
        {
            AllowMultipleArgumentsPerToken = true,
            DefaultValueFactory = _ => [],
            Description =
                "A command that runs the same steps with another program, measured in turns with ours: it gets " +
                "--shape, --batch, --length, --rank, --steps, --threads and --targets, and prints a JSON object with " +
                "tokens_per_second (tests/LowRank.ParityTests/Reference/time_with_peft.py).",
        };
        var json = new Option<bool>("--json")
        {
            Description =
                "Print a JSON object: tokens_per_second, share_of_limit, gemm_flops_per_second, flops_per_token, " +
                "peak_memory_bytes (without the base's weights), weights_bytes, step_seconds, median_step_seconds, " +
                "product_seconds, square_flops_per_second, trained_parameters, managed_bytes_per_step, parts; " +
                "of_float32, with another --compute-dtype on the processor: times float32's tokens per second, in " +
                "turns; on CUDA device_memory_bytes, the GPU's largest use; beside: " +
                "what its command printed, with of_beside, our tokens per second as a multiple. Several shapes: such " +
                "an object for each, by its name.",
        };
        return new Command("train",
            "Compare training steps with the rate of matrix products on this machine: tokens per second, share of " +
            "the limit, memory, and the parts of a step. Saves nothing.")
        {
            shape, layers, batch, length, rank, targets, labelled, dropout, checkpointing, steps, device, baseDtype,
            computeDtype, tf32, alike, threads, beside, json,
        }
        .Does(parsed => Run(parsed.GetValue(shape), new TrainBenchOptions
            {
                Layers = parsed.GetValue(layers),
                Batch = parsed.GetValue(batch),
                Length = parsed.GetValue(length),
                Rank = parsed.GetValue(rank),
                Targets = parsed.GetValue(targets) ?? [],
                Labelled = parsed.GetValue(labelled),
                Dropout = parsed.GetValue(dropout),
                Checkpointing = parsed.GetValue(checkpointing),
                Steps = parsed.GetValue(steps),
                Device = parsed.GetValue(device)!,
                BaseDtype = parsed.GetValue(baseDtype)!,
                ComputeDtype = parsed.GetValue(computeDtype)!,
                Tf32 = parsed.GetValue(tf32),
                Alike = parsed.GetValue(alike),
                Threads = parsed.GetValue(threads),
                Beside = parsed.GetValue(beside) ?? [],
            }, parsed.GetValue(json)),
                OptionUse.Always(layers, batch, length, rank, targets, labelled, dropout, checkpointing, steps, device,
                    baseDtype, computeDtype, alike, threads, beside, json), OptionUse.Threads(threads),
                OptionUse.Unless(
                    tf32, parsed =>
                    parsed.GetValue(tf32) && !parsed.GetValue(device)!.StartsWith("cuda", StringComparison.Ordinal)
                    ? $"has no effect with --device {parsed.GetValue(device)}; only NVIDIA GPUs have TF32" : null));
    }
    private static int Run(string? shape, TrainBenchOptions options, bool json)
    {
        options.Check(); // before the first is measured
        TrainBenchView.Show(
            [.. ShapeArgument.Chosen(shape).Select(name => StepBench.Run(options with { Shape = name }))], json);
        return ExitCodes.Success;
    }
}
