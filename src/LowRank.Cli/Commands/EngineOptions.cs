using System.CommandLine;
using LowRank.Cli.Common;
using LowRank.Serving;

namespace LowRank.Cli.Commands;

/// <summary>The options of the serving engine, --max-batch, --context, --max-queue, --max-adapters, --adapter-memory,
/// --max-rank and --prompt-lookup.</summary>
internal sealed class EngineOptions
{
    private const long Megabyte = 1 << 20;

    private static readonly ServingOptions Usual = new();

    private readonly Option<int> maxBatch = new("--max-batch")
    {
        Description = "Most texts that are written at the same time; others wait.",
        DefaultValueFactory = _ => Usual.MaxBatch,
    };
    private readonly Option<int?> context = new("--context")
    {
        Description = "Longest text in tokens, its prompt included. Default: the model's context.",
    };
    private readonly Option<int> maxQueue = new("--max-queue")
    {
        Description = "Most requests that wait; further ones are refused with 429.",
        DefaultValueFactory = _ => Usual.MaxQueuedRequests,
    };
    private readonly Option<int?> maxAdapters = new("--max-adapters")
    {
        Description =
            "Most adapters in memory at the same time. The least recently used make room, and are read again when " +
            "they are asked for. Default: no limit.",
    };
    private readonly Option<int?> adapterMemory = new("--adapter-memory")
    {
        Description = "Most megabytes of adapters in memory, as with --max-adapters. Default: no limit.",
    };
    private readonly Option<int?> maxRank = new("--max-rank")
    {
        Description = "Highest rank of an adapter; others are refused. Default: no limit.",
    };
    private readonly Option<bool> promptLookup = new("--prompt-lookup")
    {
        Description =
            "Guess tokens that repeat the text's own words and check them together: faster where texts quote their " +
            "prompt, and never another text.",
    };

    /// <summary>When the options take effect.</summary>
    public IReadOnlyList<OptionUse> Uses =>
    [
        OptionUse.Always(maxBatch, context, maxQueue, maxAdapters, adapterMemory, maxRank, promptLookup),
        OptionUse.AtLeast(maxBatch, 1), OptionUse.AtLeast(context, 2), OptionUse.AtLeast(maxQueue, 1),
        OptionUse.AtLeast(maxAdapters, 1), OptionUse.AtLeast(adapterMemory, 1), OptionUse.AtLeast(maxRank, 1),
    ];

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command)
    {
        foreach (Option option in (Option[])[maxBatch, context, maxQueue, maxAdapters, adapterMemory, maxRank,
            promptLookup])
            command.Add(option);
    }

    /// <summary>What the user gave.</summary>
    public ServingOptions Read(ParseResult parsed) => new()
    {
        MaxBatch = parsed.GetValue(maxBatch),
        Context = parsed.GetValue(context),
        MaxQueuedRequests = parsed.GetValue(maxQueue),
        MaxAdapters = parsed.GetValue(maxAdapters),
        AdapterBytes = parsed.GetValue(adapterMemory) * Megabyte,
        MaxRank = parsed.GetValue(maxRank),
        PromptLookup = parsed.GetValue(promptLookup),
    };
}
