using System.CommandLine;
using System.Globalization;
using LowRank.Cli.Common;
using Spectre.Console;

namespace LowRank.Cli.Bench.Generate;

/// <summary><c>lowrank bench generate</c>.</summary>
internal sealed class GenerateBenchmark : IBenchmark
{
    public Command Build()
    {
        var defaults = new GenerateOptions();
        var shape = new Argument<string>("shape")
        {
            Description = $"{string.Join(", ", ModelShapes.Names)} (random weights), or a model folder; a decoder.",
            DefaultValueFactory = _ => defaults.Shape,
        };
        var batch = new Option<int>("--batch")
        {
            Description = "Sequences that are generated together, next to one alone.",
            DefaultValueFactory = _ => defaults.Batch,
        };
        var prompt = new Option<int>("--prompt")
        {
            Description = "Tokens of each prompt.",
            DefaultValueFactory = _ => defaults.Prompt,
        };
        var tokens = new Option<int>("--new")
        {
            Description = "Tokens that are generated after it.",
            DefaultValueFactory = _ => defaults.New,
        };
        var rank = new Option<int>("--rank")
        {
            Description = "Rank of the unmerged adapter; 0 measures the base alone.",
            DefaultValueFactory = _ => defaults.Rank,
        };
        var targets = new Option<string[]>("--targets")
        {
            Description = "Adapted modules by name, or all-linear; the model type's default when left out.",
            AllowMultipleArgumentsPerToken = true,
            DefaultValueFactory = _ => [],
        };
        var rounds = new Option<int>("--rounds")
        {
            Description = "How often everything is measured, in turns; the fastest counts.",
            DefaultValueFactory = _ => defaults.Rounds,
        };
        var threads = new Option<int?>("--threads")
        {
            Description = "Threads of torch; one for each physical core when left out.",
        };
        var json = new Option<bool>("--json")
        {
            Description =
                "Print a JSON object: of one sequence tokens_per_second, share_of_limit, read_bytes_per_second, " +
                "bytes_per_token; batch_tokens_per_second, batch_share_of_limit, batch_speedup; " +
                "prompt_tokens_per_second, prompt_share_of_limit, gemm_flops_per_second, flops_per_token; " +
                "step_seconds, median_step_seconds, batch_step_seconds, batch_median_step_seconds; adapter_cost, " +
                "batch_adapter_cost, prompt_adapter_cost (null without an adapter); peak_memory_bytes (without the " +
                "base's weights), weights_bytes, managed_bytes_per_step; shape, batch, prompt, new_tokens, rank, " +
                "threads, vector_width.",
        };
        return new Command("generate",
            "Measure generation against the rates of memory and of matrix products on this machine: one sequence, " +
            "several, their prompts, each with and without an unmerged adapter. Nothing is kept.")
            { shape, batch, prompt, tokens, rank, targets, rounds, threads, json }
            .Does(parsed => GenerateView.Show(GenerateBench.Run(new GenerateOptions
            {
                Shape = parsed.GetValue(shape)!,
                Batch = parsed.GetValue(batch),
                Prompt = parsed.GetValue(prompt),
                New = parsed.GetValue(tokens),
                Rank = parsed.GetValue(rank),
                Targets = parsed.GetValue(targets) ?? [],
                Rounds = parsed.GetValue(rounds),
                Threads = parsed.GetValue(threads),
            }), parsed.GetValue(json)),
                OptionUse.Always(batch, prompt, tokens, rank, rounds, threads, json), OptionUse.Threads(threads),
                OptionUse.Unless(targets, parsed => parsed.GetValue(rank) == 0
                ? $"names {string.Join(", ", parsed.GetValue(targets) ?? [])}, but --rank 0 adapts nothing" : null));
    }
}

/// <summary>What <c>lowrank bench generate</c> measures.</summary>
internal sealed record GenerateOptions
{
    /// <summary>A name of <see cref="ModelShapes"/>, or a model folder.</summary>
    public string Shape { get; init; } = "gpt2-small";

    /// <summary>Sequences that are generated together, next to one alone.</summary>
    public int Batch { get; init; } = 8;

    /// <summary>Tokens of each prompt.</summary>
    public int Prompt { get; init; } = 256;

    /// <summary>Tokens that are generated after it; the first comes with the prompt, each further one is a
    /// step.</summary>
    public int New { get; init; } = 33;

    /// <summary>Rank of the unmerged adapter; 0 measures the base alone.</summary>
    public int Rank { get; init; } = 8;

    /// <summary>Names of the adapted modules; "all-linear" for all; empty for the model type's default.</summary>
    public IReadOnlyList<string> Targets { get; init; } = [];

    /// <summary>How often everything is measured, in turns, after once that is not timed.</summary>
    public int Rounds { get; init; } = 7;

    /// <summary>Number of torch threads; null for one per physical core.</summary>
    public int? Threads { get; init; }

    /// <exception cref="InputException">Some settings are invalid; lists all problems.</exception>
    public void Check()
    {
        List<string> problems = [];
        foreach ((string option, long value) in (ReadOnlySpan<(string, long)>)[
            ("batch", Batch), ("prompt", Prompt), ("rounds", Rounds), ("threads", Threads ?? 1)])
        {
            if (value < 1) problems.Add($"--{option} is {value}, expected at least 1");
        }
        if (New < 2) problems.Add($"--new is {New}, expected at least 2: the first token comes with the prompt");
        if (Rank < 0) problems.Add($"--rank is {Rank}, expected 0 (the base alone) or more");
        if (problems.Count > 0) throw new InputException("bench generate cannot run:", problems);
    }
}

/// <summary>Shows a measurement of generation as a table or as JSON.</summary>
internal static class GenerateView
{
    public static void Show(GenerateMeasurement found, bool json)
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
        int batch = found.Options.Batch;
        Row("one sequence: tokens per second", $"{found.One.TokensPerSecond:f1}");
        Row("share of the limit", $"{100 * found.ShareOfLimit:f1} %");
        Row("limit: memory read rate", $"{found.ReadBytesPerSecond / 1e9:f1} GB/s");
        Row("weights and cache read per token", $"{found.StepBytes / 1e6:f1} MB");
        Row($"{batch} sequences: tokens per second", $"{found.Many.TokensPerSecond:f1}");
        Row("times one sequence", $"{found.BatchSpeedup:f2}");
        Row("prompt: tokens per second", $"{found.Options.Prompt / found.One.PromptSeconds:f0}");
        Row("share of the limit", $"{100 * found.PromptShareOfLimit:f1} %");
        Row("limit: the prompt's own products alone", $"{found.GemmFlopsPerSecond / 1e9:f1} GFLOP/s");
        Row("operations per token of the prompt", $"{found.PromptFlops / found.Options.Prompt / 1e6:f1} MFLOP");
        if (found.AdapterCost is { } cost)
        {
            Row($"cost of an unmerged adapter of rank {found.Options.Rank}: a step of one sequence",
                $"{100 * cost:f1} %");
            Row($"a step of {batch} sequences", $"{100 * found.ManyAdapterCost!.Value:f1} %");
            Row("a prompt", $"{100 * found.PromptAdapterCost!.Value:f1} %");
        }
        Row("a step of one sequence (fastest of a round; median of all steps)",
            $"{1e3 * found.One.StepSeconds:f2} ms; {1e3 * found.One.MedianStepSeconds:f2} ms");
        Row($"a step of {batch} sequences (fastest of a round; median of all steps)",
            $"{1e3 * found.Many.StepSeconds:f2} ms; {1e3 * found.Many.MedianStepSeconds:f2} ms");
        Row("weights of the base", $"{found.WeightBytes / 1e6:f0} MB");
        Row("peak memory above the weights", $"{found.PeakBytes / 1e6:f0} MB");
        Row("managed memory allocated per step", $"{found.One.ManagedBytes / 1e3:f0} kB");
        Screen.Write(table);
    }

    public static object Json(GenerateMeasurement found) => new
    {
        tokens_per_second = found.One.TokensPerSecond,
        share_of_limit = found.ShareOfLimit,
        read_bytes_per_second = found.ReadBytesPerSecond,
        bytes_per_token = found.StepBytes,
        batch_tokens_per_second = found.Many.TokensPerSecond,
        batch_share_of_limit = found.ManyShareOfLimit,
        batch_speedup = found.BatchSpeedup,
        prompt_tokens_per_second = found.Options.Prompt / found.One.PromptSeconds,
        prompt_share_of_limit = found.PromptShareOfLimit,
        gemm_flops_per_second = found.GemmFlopsPerSecond,
        flops_per_token = found.PromptFlops / found.Options.Prompt,
        step_seconds = found.One.StepSeconds,
        median_step_seconds = found.One.MedianStepSeconds,
        batch_step_seconds = found.Many.StepSeconds,
        batch_median_step_seconds = found.Many.MedianStepSeconds,
        adapter_cost = found.AdapterCost,
        batch_adapter_cost = found.ManyAdapterCost,
        prompt_adapter_cost = found.PromptAdapterCost,
        peak_memory_bytes = found.PeakBytes,
        weights_bytes = found.WeightBytes,
        managed_bytes_per_step = found.One.ManagedBytes,
        shape = found.Options.Shape,
        batch = found.Options.Batch,
        prompt = found.Options.Prompt,
        new_tokens = found.Options.New,
        rank = found.Options.Rank,
        threads = found.Threads,
        vector_width = found.VectorWidth,
    };
}
