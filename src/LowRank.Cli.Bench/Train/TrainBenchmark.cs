using System.CommandLine;
using System.Globalization;
using LowRank.Cli.Common;
using LowRank.Quantization;
using Spectre.Console;

namespace LowRank.Cli.Bench.Train;

/// <summary><c>lowrank bench train</c>.</summary>
internal sealed class TrainBenchmark : IBenchmark
{
    public Command Build()
    {
        var defaults = new TrainBenchOptions();
        var shape = new Argument<string>("shape")
        {
            Description = $"{string.Join(", ", ModelShapes.Names)} (random weights), or a model folder.",
            DefaultValueFactory = _ => defaults.Shape,
        };
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
        var tf32 = new Option<bool>("--tf32") { Description = "Multiply in TF32 on CUDA, like the recipe key tf32." };
        var threads = new Option<int?>("--threads")
        {
            Description = "Number of torch threads. Default: one per physical core.",
        };
        var json = new Option<bool>("--json")
        {
            Description =
                "Print a JSON object: tokens_per_second, share_of_limit, gemm_flops_per_second, flops_per_token, " +
                "peak_memory_bytes (without the base's weights), weights_bytes, step_seconds, median_step_seconds, " +
                "product_seconds, square_flops_per_second, trained_parameters, managed_bytes_per_step, parts.",
        };
        return new Command("train",
            "Compare training steps with the rate of matrix products on this machine: tokens per second, share of " +
            "the limit, memory, and the parts of a step. Saves nothing.")
        {
            shape, batch, length, rank, targets, labelled, dropout, checkpointing, steps, device, baseDtype, tf32,
            threads, json,
        }
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
                OptionUse.Always(batch, length, rank, targets, labelled, dropout, checkpointing, steps, device,
                    baseDtype, threads, json), OptionUse.Threads(threads),
                OptionUse.Unless(
                    tf32, parsed =>
                    parsed.GetValue(tf32) && !parsed.GetValue(device)!.StartsWith("cuda", StringComparison.Ordinal)
                    ? $"has no effect with --device {parsed.GetValue(device)}; only NVIDIA GPUs have TF32" : null));
    }
}

/// <summary>The options of <c>lowrank bench train</c>.</summary>
internal sealed record TrainBenchOptions
{
    /// <summary>A name of <see cref="ModelShapes"/>, or a model folder.</summary>
    public string Shape { get; init; } = "gpt2-small";

    /// <summary>Rows per step.</summary>
    public int Batch { get; init; } = 4;

    /// <summary>Tokens per row.</summary>
    public int Length { get; init; } = 256;

    /// <summary>Rank of the pairs.</summary>
    public int Rank { get; init; } = 8;

    /// <summary>Names of the adapted modules; "all-linear" for all; empty for the model type's default.</summary>
    public IReadOnlyList<string> Targets { get; init; } = [];

    /// <summary>Share of each row, at its end, to predict, in (0, 1].</summary>
    public double Labelled { get; init; } = 1;

    /// <summary>Dropout of the model (if a shape is named) and of the adapter.</summary>
    public double Dropout { get; init; }

    /// <summary>Whether to recompute blocks in the backward pass.</summary>
    public bool Checkpointing { get; init; }

    /// <summary>Timed steps, after one untimed step.</summary>
    public int Steps { get; init; } = 5;

    /// <summary>The device: cpu, cuda, cuda:N or mps.</summary>
    public string Device { get; init; } = "cpu";

    /// <summary>How to store the frozen weights, one of <see cref="WeightFormats.Names"/>.</summary>
    public string BaseDtype { get; init; } = WeightFormats.Auto;

    /// <summary>Whether CUDA multiplies in TF32.</summary>
    public bool Tf32 { get; init; }

    /// <summary>Number of torch threads; null for one per physical core.</summary>
    public int? Threads { get; init; }

    /// <exception cref="InputException">Some settings are invalid; lists all problems.</exception>
    public void Check()
    {
        List<string> problems = [];
        void Positive(string option, long value)
        {
            if (value < 1) problems.Add($"--{option} is {value}, expected at least 1");
        }
        Positive("batch", Batch);
        Positive("rank", Rank);
        Positive("steps", Steps);
        Positive("threads", Threads ?? 1);
        if (Length < 2)
            problems.Add($"--length is {Length}, expected at least 2: a row's first token is not predicted");
        if (!(Labelled is > 0 and <= 1)) problems.Add($"--labelled is {Labelled}, expected more than 0 and at most 1");
        if (!(Dropout is >= 0 and < 1)) problems.Add($"--dropout is {Dropout}, expected at least 0 and less than 1");
        if (problems.Count > 0) throw new InputException("bench train cannot run:", problems);
    }
}

/// <summary>Shows a measurement of training steps as a table or as JSON.</summary>
internal static class TrainBenchView
{
    public static void Show(TrainMeasurement found, bool json)
    {
        if (json)
        {
            MeasuredJson.Write(Json(found));
            return;
        }
        Table table = new Table().Border(TableBorder.Simple).AddColumn("")
            .AddColumn(new TableColumn("").RightAligned());
        void Row(string name, FormattableString value) =>
            table.AddRow(name, Markup.Escape(value.ToString(CultureInfo.InvariantCulture)));
        Row("tokens per second", $"{found.TokensPerSecond:f0}");
        Row("share of the limit", $"{100 * found.ShareOfLimit:f1} %");
        Row("limit: the step's own products alone", $"{found.GemmFlopsPerSecond / 1e9:f1} GFLOP/s");
        Row("a product of 2048 × 2048", $"{found.SquareFlopsPerSecond / 1e9:f1} GFLOP/s");
        Row("operations per token", $"{found.FlopsPerToken / 1e6:f1} MFLOP");
        StepCost cost = found.Cost;
        Row("share of frozen weights, pairs, attention", $"{100 * cost.Frozen / cost.Total:f1} %, {100 * cost.Pairs
            / cost.Total:f1} %, {100 * cost.Attention / cost.Total:f1} %");
        Row("weights of the base", $"{found.WeightBytes / 1e6:f0} MB");
        Row("peak memory above the weights", $"{found.PeakBytes / 1e6:f0} MB");
        Row("total peak memory", $"{(found.PeakBytes + found.WeightBytes) / 1e6:f0} MB");
        Row("managed memory allocated per step", $"{found.ManagedBytes / 1e3:f0} kB");
        Row("trained weights", $"{found.TrainedParameters:n0}");
        Row("a step (fastest; median)", $"{found.StepSeconds:f3} s; {found.MedianSeconds:f3} s");
        Row("its products with frozen weights alone", $"{found.ProductSeconds:f3} s");
        foreach ((string part, double seconds) in found.Parts) Row("  " + part, $"{seconds:f3} s");
        Screen.Write(table);
    }

    public static object Json(TrainMeasurement found) => new
    {
        tokens_per_second = found.TokensPerSecond,
        share_of_limit = found.ShareOfLimit,
        gemm_flops_per_second = found.GemmFlopsPerSecond,
        flops_per_token = found.FlopsPerToken,
        peak_memory_bytes = found.PeakBytes,
        weights_bytes = found.WeightBytes,
        step_seconds = found.StepSeconds,
        median_step_seconds = found.MedianSeconds,
        product_seconds = found.ProductSeconds,
        square_flops_per_second = found.SquareFlopsPerSecond,
        trained_parameters = found.TrainedParameters,
        managed_bytes_per_step = found.ManagedBytes,
        parts = found.Parts.ToDictionary(part => part.Part, part => part.Seconds),
    };
}

/// <summary>The measurements of <c>lowrank bench train</c>.</summary>
internal sealed record TrainMeasurement
{
    /// <summary>Tokens per step.</summary>
    public required long Tokens { get; init; }

    /// <summary>Number of trained weights.</summary>
    public required long TrainedParameters { get; init; }

    /// <summary>The fastest step.</summary>
    public required double StepSeconds { get; init; }

    /// <summary>The median step.</summary>
    public required double MedianSeconds { get; init; }

    /// <summary>The time of the step's products with frozen weights alone.</summary>
    public required double ProductSeconds { get; init; }

    /// <summary>Operations per step.</summary>
    public required StepCost Cost { get; init; }

    /// <summary>The rate of matrix products, see <see cref="ProductRate"/>.</summary>
    public required double GemmFlopsPerSecond { get; init; }

    /// <summary>The rate of one product of 2048 × 2048 matrices, for comparison.</summary>
    public required double SquareFlopsPerSecond { get; init; }

    /// <summary>The process's largest resident size during steps, without the base's weights.</summary>
    public required long PeakBytes { get; init; }

    /// <summary>Bytes of the base's weights.</summary>
    public required long WeightBytes { get; init; }

    /// <summary>Managed bytes that a step allocates.</summary>
    public required long ManagedBytes { get; init; }

    /// <summary>Parts of a step in seconds, the fastest of each.</summary>
    public required IReadOnlyList<(string Part, double Seconds)> Parts { get; init; }

    /// <summary>Tokens per second in the fastest step.</summary>
    public double TokensPerSecond => Tokens / StepSeconds;

    /// <summary>Operations per token.</summary>
    public double FlopsPerToken => Cost.Total / Tokens;

    /// <summary>Operations per second divided by the rate of matrix products.</summary>
    public double ShareOfLimit => Cost.Total / StepSeconds / GemmFlopsPerSecond;
}
