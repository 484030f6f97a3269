namespace LowRank.Data.Streaming;

/// <summary>How rows are drawn from files that are too large to go through before.</summary>
public sealed record StreamOptions
{
    /// <summary>Rows among which the next one is drawn; 1 keeps the order of the data. Default 10,000.</summary>
    public int Buffer { get; init; } = 10_000;

    /// <summary>Most bytes that they may take together: long rows leave fewer to draw from. Default 256 MB.</summary>
    public long BufferBytes { get; init; } = 1 << 28;

    /// <summary>Seed of the draws.</summary>
    public long Seed { get; init; } = 42;

    /// <summary>How much of the rows each source makes up, in proportion; null goes through the only source.</summary>
    public IReadOnlyList<double>? Weights { get; init; }
}
