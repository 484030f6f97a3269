using System.CommandLine;
using LowRank.Cli.Commands;
using LowRank.Quantization;

namespace LowRank.Cli.Bench.Train;

/// <summary><c>lowrank bench train</c>.</summary>
internal sealed class TrainBenchmark : IBenchmark
{
    public Command Build()
    {
        var defaults = new TrainBenchOptions();
        var shape = new Argument<string>("shape") { Description = $"{string.Join(", ", ModelShapes.Names)} (random weights), or a model folder.", DefaultValueFactory = _ => defaults.Shape };
        var batch = new Option<int>("--batch") { Description = "Rows of a step.", DefaultValueFactory = _ => defaults.Batch };
        var length = new Option<int>("--length") { Description = "Tokens of a row.", DefaultValueFactory = _ => defaults.Length };
        var rank = new Option<int>("--rank") { Description = "Rank of the pairs.", DefaultValueFactory = _ => defaults.Rank };
        var targets = new Option<string[]>("--targets") { Description = "Adapted modules by name, or all-linear; the model type's default when left out.", AllowMultipleArgumentsPerToken = true, DefaultValueFactory = _ => [] };
        var labelled = new Option<double>("--labelled") { Description = "Share of each row, at its end, that is predicted.", DefaultValueFactory = _ => defaults.Labelled };
        var dropout = new Option<double>("--dropout") { Description = "Dropout of the model and the adapter.", DefaultValueFactory = _ => defaults.Dropout };
        var checkpointing = new Option<bool>("--checkpointing") { Description = "Compute blocks again in the backward pass (training.gradient_checkpointing)." };
        var steps = new Option<int>("--steps") { Description = "Steps that are timed.", DefaultValueFactory = _ => defaults.Steps };
        var device = new Option<string>("--device") { Description = "cpu, cuda, cuda:N or mps. Peak memory is the process's, without the device's own.", DefaultValueFactory = _ => defaults.Device };
        var baseDtype = new Option<string>("--base-dtype") { Description = $"How the weights of the base's linear layers are kept: {string.Join(", ", WeightFormats.Names)}.", DefaultValueFactory = _ => defaults.BaseDtype };
        var tf32 = new Option<bool>("--tf32") { Description = "Multiply in TF32 on CUDA, as the recipe key tf32." };
        var threads = new Option<int?>("--threads") { Description = "Threads of torch; one for each physical core when left out." };
        var json = new Option<bool>("--json")
        {
            Description = "Print a JSON object: tokens_per_second, share_of_limit, gemm_flops_per_second, flops_per_token, peak_memory_bytes (without the base's weights), weights_bytes, "
                + "step_seconds, median_step_seconds, product_seconds, square_flops_per_second, trained_parameters, managed_bytes_per_step, parts.",
        };
        return new Command("train", "Measure training steps against the rate of matrix products on this machine: tokens a second, share of the limit, memory, and the parts of a step. Nothing is kept.")
            { shape, batch, length, rank, targets, labelled, dropout, checkpointing, steps, device, baseDtype, tf32, threads, json }
            .Does(parsed => TrainBenchView.Show(StepBench.Run(new TrainBenchOptions
            {
                Shape = parsed.GetValue(shape)!,
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
                Tf32 = parsed.GetValue(tf32),
                Threads = parsed.GetValue(threads),
            }), parsed.GetValue(json)),
                OptionUse.Always(batch, length, rank, targets, labelled, dropout, checkpointing, steps, device, baseDtype, threads, json), OptionUse.Threads(threads),
                OptionUse.Unless(tf32, parsed => parsed.GetValue(tf32) && !parsed.GetValue(device)!.StartsWith("cuda", StringComparison.Ordinal) ? $"has no effect with --device {parsed.GetValue(device)}; it is of NVIDIA GPUs" : null));
    }
}
