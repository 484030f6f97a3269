using System.CommandLine;
using LowRank.Cli.Commands;

namespace LowRank.Cli.Bench.Lengths;

/// <summary><c>lowrank bench lengths</c>.</summary>
internal sealed class LengthsBenchmark : IBenchmark
{
    public Command Build()
    {
        var defaults = new LengthsOptions { Data = [], Tokenizer = "" };
        var shape = new Argument<string>("shape") { Description = $"{string.Join(", ", ModelShapes.Names)} (random weights), or a model folder; a decoder.", DefaultValueFactory = _ => defaults.Shape };
        var data = new Option<string[]>("--data") { Description = "Files with rows, whose lengths are real.", Required = true, AllowMultipleArgumentsPerToken = true };
        var tokenizer = new Option<string>("--tokenizer") { Description = "Folder of the tokenizer.", Required = true };
        var batch = new Option<int>("--batch") { Description = "Rows of a step.", DefaultValueFactory = _ => defaults.Batch };
        var rank = new Option<int>("--rank") { Description = "Rank of the pairs.", DefaultValueFactory = _ => defaults.Rank };
        var targets = new Option<string[]>("--targets") { Description = "Adapted modules by name, or all-linear; the model type's default when left out.", AllowMultipleArgumentsPerToken = true, DefaultValueFactory = _ => [] };
        var steps = new Option<int>("--steps") { Description = "Steps of each loop that are timed.", DefaultValueFactory = _ => defaults.Steps };
        var longest = new Option<int>("--max-length") { Description = "Longest row in tokens; what is beyond is cut off.", DefaultValueFactory = _ => defaults.MaxLength };
        var threads = new Option<int?>("--threads") { Description = "Threads of torch; one for each physical core when left out." };
        var json = new Option<bool>("--json")
        {
            Description = "Print a JSON object: rows, prompts, packed_speedup, shared_speedup, shared_speedup_on_same_rows, packed_speedup_of_processor, shared_speedup_of_processor, largest_difference, and loops (plain, packed, plain_grouped, shared), "
                + "each with labelled_tokens_per_second, tokens_per_second, labels, tokens, positions, seconds, processor_seconds, peak_memory_bytes.",
        };
        return new Command("lengths", "Measure training steps on rows of real lengths, in turns: a plain loop (each batch padded to its longest row, logits of every position), packing, and prompt sharing. Nothing is kept.")
            { shape, data, tokenizer, batch, rank, targets, steps, longest, threads, json }
            .Does(parsed => LengthsView.Show(LengthsBench.Run(new LengthsOptions
            {
                Shape = parsed.GetValue(shape)!,
                Data = parsed.GetRequiredValue(data),
                Tokenizer = parsed.GetRequiredValue(tokenizer),
                Batch = parsed.GetValue(batch),
                Rank = parsed.GetValue(rank),
                Targets = parsed.GetValue(targets) ?? [],
                Steps = parsed.GetValue(steps),
                MaxLength = parsed.GetValue(longest),
                Threads = parsed.GetValue(threads),
            }), parsed.GetValue(json)), OptionUse.Always(data, tokenizer, batch, rank, targets, steps, longest, threads, json), OptionUse.Threads(threads), OptionUse.Data(data));
    }
}
