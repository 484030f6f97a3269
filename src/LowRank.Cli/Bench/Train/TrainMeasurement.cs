namespace LowRank.Cli.Bench.Train;

/// <summary>What <c>lowrank bench train</c> found.</summary>
internal sealed record TrainMeasurement
{
    /// <summary>Tokens of a step.</summary>
    public required long Tokens { get; init; }

    /// <summary>Weights that are trained.</summary>
    public required long TrainedParameters { get; init; }

    /// <summary>The fastest step.</summary>
    public required double StepSeconds { get; init; }

    /// <summary>The step in the middle.</summary>
    public required double MedianSeconds { get; init; }

    /// <summary>What the step's products with frozen weights take alone.</summary>
    public required double ProductSeconds { get; init; }

    /// <summary>Operations of a step.</summary>
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

    /// <summary>Tokens a second in the fastest step.</summary>
    public double TokensPerSecond => Tokens / StepSeconds;

    /// <summary>Operations a token.</summary>
    public double FlopsPerToken => Cost.Total / Tokens;

    /// <summary>Operations a second over the rate of matrix products.</summary>
    public double ShareOfLimit => Cost.Total / StepSeconds / GemmFlopsPerSecond;
}
