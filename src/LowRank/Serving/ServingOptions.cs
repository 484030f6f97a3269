using System.Globalization;

namespace LowRank.Serving;

/// <summary>Limits of a <see cref="ServingEngine"/>.</summary>
public sealed record ServingOptions
{
    private const int MostBatch = 65_536; // texts; beyond, what is counted for each step would not fit its numbers

    /// <summary>Texts that are written at the same time, at most 65,536; others wait. Default: 16.</summary>
    public int MaxBatch { get; init; } = 16;

    /// <summary>Most tokens of a text, its prompt included. Default: null, as many as the model's context
    /// holds.</summary>
    public int? Context { get; init; }

    /// <summary>Most tokens of prompts that are read between two steps of the texts under way: a long prompt is read in
    /// parts of this size, so that it does not hold others up. It changes the speed, never a text. Default:
    /// 256.</summary>
    public int ChunkTokens { get; init; } = 256;

    /// <summary>Most texts that wait; beyond, <see cref="ServingRefusal.Busy"/>. Default: 256.</summary>
    public int MaxQueuedRequests { get; init; } = 256;

    /// <summary>Most tokens of prompts that wait; beyond, <see cref="ServingRefusal.Busy"/>. A prompt that waits alone
    /// may be longer. Default: 262,144.</summary>
    public long MaxQueuedTokens { get; init; } = 262_144;

    /// <summary>Bytes for keys and values: of the texts under way, and of beginnings that are kept for the texts that
    /// share them. Default: null, half of the memory that is free at the start, at most what
    /// <see cref="MaxBatch"/> whole contexts need.</summary>
    public long? CacheBytes { get; init; }

    /// <summary>How long an engine that writes nothing keeps the memory of keys and values. Then it gives all of it
    /// back, and the beginnings that texts share are read anew; <see cref="Timeout.InfiniteTimeSpan"/> keeps it for
    /// ever. Default: 5 minutes.</summary>
    public TimeSpan IdleTime { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Adapters whose weights are in memory at the same time. Those that no text is written with make room,
    /// the ones that were not used for longest first, and are read again when they are asked for, while other texts are
    /// written; a text whose adapter has no room waits. Default: null, no limit.</summary>
    public int? MaxAdapters { get; init; }

    /// <summary>Bytes of the adapters' weights in memory, as <see cref="MaxAdapters"/>. Default: null, no
    /// limit.</summary>
    public long? AdapterBytes { get; init; }

    /// <summary>Highest rank of an adapter; others are refused. Default: null, no limit.</summary>
    public int? MaxRank { get; init; }

    /// <summary>Whether tokens that repeat the text's own words are guessed and checked together (prompt lookup,
    /// arXiv 2304.04487): faster where texts quote their prompt, and never another text. Default: false.</summary>
    public bool PromptLookup { get; init; }

    /// <summary>Most logits in memory at the same time, but at least those of one text.</summary>
    internal int MostLogits { get; init; } = 8 << 20;

    /// <summary>Reads an adapter's files, off the model's thread.</summary>
    internal Func<string, CancellationToken, Task<AdapterContent>> ReadAdapter { get; init; } =
        AdapterContent.ReadAsync;

    /// <summary>Refuses what no engine can run with.</summary>
    /// <exception cref="InputException">All problems at once.</exception>
    internal void Validate()
    {
        OptionProblems problems = new(nameof(ServingOptions));
        problems.RequireLeast(nameof(MaxBatch), MaxBatch, 1);
        problems.AddIf(MaxBatch > MostBatch, nameof(MaxBatch), string.Create(CultureInfo.InvariantCulture,
            $"is {MaxBatch}, expected at most {MostBatch}: further texts wait."));
        problems.RequireLeast(nameof(Context), Context, 2);
        problems.RequireLeast(nameof(ChunkTokens), ChunkTokens, 1);
        problems.RequireLeast(nameof(MaxQueuedRequests), MaxQueuedRequests, 1);
        problems.RequireLeast(nameof(MaxQueuedTokens), MaxQueuedTokens, 1);
        problems.RequireLeast(nameof(CacheBytes), CacheBytes, 1);
        problems.AddIf(IdleTime != Timeout.InfiniteTimeSpan && (IdleTime < TimeSpan.Zero || IdleTime.TotalDays > 49),
            nameof(IdleTime), $"is {IdleTime:c}, expected at most 49 days, or none (Timeout.InfiniteTimeSpan).");
        problems.RequireLeast(nameof(MaxAdapters), MaxAdapters, 1);
        problems.RequireLeast(nameof(AdapterBytes), AdapterBytes, 1);
        problems.RequireLeast(nameof(MaxRank), MaxRank, 1);
        problems.ThrowIfAny();
    }
}
