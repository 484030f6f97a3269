namespace LowRank.Cli.Bench.Growth;

/// <summary>How memory and time grow with each of what a run is made of; null for what was not asked for.</summary>
internal sealed record GrowthMeasurement
{
    /// <summary>Rows of the data.</summary>
    public GrowthSeries? Rows { get; init; }

    /// <summary>Tokens of a step, by more rows of the same length.</summary>
    public GrowthSeries? Tokens { get; init; }

    /// <summary>Tokens of a step, by longer rows.</summary>
    public GrowthSeries? Length { get; init; }

    /// <summary>Weights of the model, by more layers.</summary>
    public GrowthSeries? Weights { get; init; }

    /// <summary>Those that were measured.</summary>
    internal IEnumerable<GrowthSeries> All => new[] { Rows, Tokens, Length, Weights }.OfType<GrowthSeries>();
}
