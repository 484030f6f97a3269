using System.CommandLine;
using LowRank.Cli.Common;
using LowRank.Quantization;

namespace LowRank.Cli.Bench.Generate;

/// <summary><c>lowrank bench generate</c>.</summary>
internal sealed class GenerateBenchmark : IBenchmark
{
    public Command Build()
    {
        var defaults = new GenerateOptions();
        Argument<string?> shape = ShapeArgument.Create("a decoder");
        Option<int?> layers = ShapeArgument.Layers();
        var baseDtypes = new Option<string[]>("--base-dtype")
        {
            Description =
                $"How to store the base's weights, one or several of {string.Join(", ", WeightFormats.Names)}: all " +
                "are measured in turns.",
            AllowMultipleArgumentsPerToken = true,
            DefaultValueFactory = _ => [.. defaults.BaseDtypes],
        };
        var baseHead = new Option<string>("--base-head")
        {
            Description = "How to store the output head: float32, or base, as the format of --base-dtype.",
            DefaultValueFactory = _ => defaults.BaseHead,
        };
        Option<string> computeDtype = ShapeArgument.ComputeDtype();
        var llamaBench = new Option<string?>("--llama-bench")
        {
            Description =
                "The path of llama.cpp's llama-bench, to measure in turns with each format that it knows (float32, " +
                "bfloat16, int8 as Q8_0), on the same shape and threads. Writes temporary GGUF files.",
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
            Description = "How often everything is measured, in turns; the median of the rounds counts.",
            DefaultValueFactory = _ => defaults.Rounds,
        };
        var threads = new Option<int?>("--threads")
        {
            Description = "Threads of torch; OMP_NUM_THREADS, else one per physical core, when left out.",
        };
        var json = new Option<bool>("--json")
        {
            Description =
                "Print a JSON object: of one sequence tokens_per_second, share_of_limit, read_bytes_per_second, " +
                "bytes_per_token; batch_tokens_per_second, batch_share_of_limit, batch_speedup; " +
                "prompt_tokens_per_second, prompt_share_of_limit, gemm_flops_per_second, flops_per_token; " +
                "step_seconds, median_step_seconds, batch_step_seconds, batch_median_step_seconds; adapter_cost, " +
                "batch_adapter_cost, prompt_adapter_cost (null without an adapter); peak_memory_bytes (without the " +
                "base's weights), weights_bytes, managed_bytes_per_step; shape, base_dtype, batch, prompt, " +
                "new_tokens, rank, threads, vector_width; of_float32, batch_of_float32, prompt_of_float32 (times " +
                "float32's tokens per second; null where it was not measured); llama_cpp. Several formats: such an " +
                "object for each, by its name; several shapes: by the shape's.",
        };
        return new Command("generate",
            "Measure generation against the rates of memory and of matrix products on this machine: one sequence, " +
            "several, their prompts, each with and without an unmerged adapter. Nothing is kept.")
            {
                shape, layers, baseDtypes, baseHead, computeDtype, batch, prompt, tokens, rank, targets, rounds,
                threads, llamaBench, json,
            }
            .Does(parsed => Run(parsed.GetValue(shape), new GenerateOptions
            {
                Layers = parsed.GetValue(layers),
                BaseDtypes = [.. parsed.GetValue(baseDtypes)!.Distinct()],
                BaseHead = parsed.GetValue(baseHead)!,
                ComputeDtype = parsed.GetValue(computeDtype)!,
                Batch = parsed.GetValue(batch),
                Prompt = parsed.GetValue(prompt),
                New = parsed.GetValue(tokens),
                Rank = parsed.GetValue(rank),
                Targets = parsed.GetValue(targets) ?? [],
                Rounds = parsed.GetValue(rounds),
                Threads = parsed.GetValue(threads),
                LlamaBench = parsed.GetValue(llamaBench),
            }, parsed.GetValue(json)),
                OptionUse.Always(layers, baseDtypes, baseHead, computeDtype, batch, prompt, tokens, rank, rounds,
                    threads, llamaBench, json),
                OptionUse.Threads(threads),
                OptionUse.Unless(targets, parsed => parsed.GetValue(rank) == 0
                ? $"names {string.Join(", ", parsed.GetValue(targets) ?? [])}, but --rank 0 adapts nothing" : null));
    }
    private static int Run(string? shape, GenerateOptions options, bool json)
    {
        GenerateOptions[] all = [.. ShapeArgument.Chosen(shape).Select(name => options with { Shape = name })];
        foreach (GenerateOptions each in all) each.Check(); // before the first is measured
        GenerateView.Show([.. all.Select(GenerateBench.Run)], json);
        return ExitCodes.Success;
    }
}
