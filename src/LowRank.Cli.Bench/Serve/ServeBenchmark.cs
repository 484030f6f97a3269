using System.CommandLine;
using LowRank.Cli.Common;
using LowRank.Quantization;

namespace LowRank.Cli.Bench.Serve;

/// <summary><c>lowrank bench serve</c>.</summary>
internal sealed class ServeBenchmark : IBenchmark
{
    public Command Build()
    {
        var defaults = new ServeOptions();
        Argument<string?> shape = ShapeArgument.Create("a decoder");
        Option<int?> layers = ShapeArgument.Layers();
        Option<string> computeDtype = ShapeArgument.ComputeDtype();
        Option<string[]> baseDtypes = Several("--base-dtype", [.. defaults.BaseDtypes],
            $"How to store the base's weights, one or several of {string.Join(", ", WeightFormats.Names)}: all are " +
            "measured in turns.");
        Option<string> baseHead = One("--base-head", defaults.BaseHead,
            "How to store the output head: float32, or base, as the format of --base-dtype.");
        Option<int> adapters = One("--adapters", defaults.Adapters,
            "Number of adapters, and of the texts that are written together, each with another of them.");
        Option<int> rank = One("--rank", defaults.Rank, "Rank of the adapters.");
        Option<string[]> targets = Several<string>("--targets", [],
            "Adapted modules by name, or all-linear; the model type's default when left out.");
        Option<int> prompt = One("--prompt", defaults.Prompt, "Tokens of each prompt.");
        Option<int> tokens = One("--new", defaults.New, "Tokens that are written after it.");
        Option<int[]> batch = Several<int>("--batch", [.. defaults.Batch],
            "Numbers of texts that are written together with the base alone.");
        Option<double[]> load = Several<double>("--load", [],
            "Let requests arrive at random, as often as these shares of what the engine finishes when all come at " +
            "once, such as 0.5 0.8. Left out: no arrivals are measured.");
        Option<int> requests = One("--requests", defaults.Requests, "Requests that arrive at each of these rates.");
        Option<int> rounds = One("--rounds", defaults.Rounds,
            "How often everything but arrivals is measured, in turns; the median of the rounds counts.");
        var threads = new Option<int?>("--threads")
            { Description = "Threads of torch; OMP_NUM_THREADS, else one per physical core, when left out." };
        var llamaBench = new Option<string?>("--llama-bench")
        {
            Description =
                "The path of llama.cpp's llama-bench, to measure in turns with each format that it knows (float32, " +
                "bfloat16, int8 as Q8_0), on the same shape and threads. Writes temporary GGUF files.",
        };
        var llamaServer = new Option<string?>("--llama-server")
        {
            Description =
                "The path of llama.cpp's llama-server, to measure in turns as many requests at once as there are " +
                "adapters, each with another one. Writes temporary GGUF files and listens on a free local port.",
        };
        var json = new Option<bool>("--json")
        {
            Description =
                "Print a JSON object: of one text tokens_per_second, engine_cost (of a step beside the generator " +
                "without an engine), adapter_cost, prompt_tokens_per_second, prompt_adapter_cost; batches (texts, " +
                "tokens_per_second); with different adapters adapters_tokens_per_second, " +
                "adapters_whole_tokens_per_second (prompts included), adapters_cost; first_token_seconds, " +
                "repeated_first_token_seconds, repeated_of_first; lookup_speedup, lookup_tokens_per_step; loads " +
                "(share, requests_per_second, and median and p99 of first_token and between_tokens); llama_bench, " +
                "llama_server (null if not measured). Several formats: such an object for each, by its name; " +
                "several shapes: by the shape's.",
        };
        return new Command("serve",
            "Measure the serving engine: one text and its prompt, several with the base and with different adapters, " +
            "prompts that come again, texts that quote their prompt, and requests that arrive at random. Nothing is " +
            "kept.")
            {
                shape, layers, baseDtypes, baseHead, computeDtype, adapters, rank, targets, prompt, tokens, batch, load,
                requests, rounds, threads, llamaBench, llamaServer, json,
            }
            .Does(parsed => Run(parsed.GetValue(shape), new ServeOptions
            {
                Layers = parsed.GetValue(layers),
                BaseDtypes = [.. parsed.GetValue(baseDtypes)!.Distinct()],
                BaseHead = parsed.GetValue(baseHead)!,
                ComputeDtype = parsed.GetValue(computeDtype)!,
                Adapters = parsed.GetValue(adapters),
                Rank = parsed.GetValue(rank),
                Targets = parsed.GetValue(targets) ?? [],
                Prompt = parsed.GetValue(prompt),
                New = parsed.GetValue(tokens),
                Batch = [.. parsed.GetValue(batch)!.Distinct()],
                Load = parsed.GetValue(load) ?? [],
                Requests = parsed.GetValue(requests),
                Rounds = parsed.GetValue(rounds),
                Threads = parsed.GetValue(threads),
                LlamaBench = parsed.GetValue(llamaBench),
                LlamaServer = parsed.GetValue(llamaServer),
            }, parsed.GetValue(json)),
                OptionUse.Always(layers, baseDtypes, baseHead, computeDtype, adapters, rank, targets, prompt, tokens,
                    batch, load, rounds, threads, llamaBench, llamaServer, json),
                OptionUse.Threads(threads),
                OptionUse.Unless(requests, parsed => parsed.GetValue(load) is { Length: > 0 } ? null
                    : "has no effect without --load"));
    }

    private static Option<T> One<T>(string name, T value, string description) =>
        new(name) { Description = description, DefaultValueFactory = _ => value };

    private static Option<T[]> Several<T>(string name, T[] values, string description) => new(name)
    {
        Description = description,
        AllowMultipleArgumentsPerToken = true,
        DefaultValueFactory = _ => values,
    };

    private static int Run(string? shape, ServeOptions options, bool json)
    {
        ServeOptions[] all = [.. ShapeArgument.Chosen(shape).Select(name => options with { Shape = name })];
        foreach (ServeOptions each in all) each.Check(); // before the first is measured
        ServeView.Show([.. all.Select(ServeBench.Run)], json);
        return ExitCodes.Success;
    }
}
