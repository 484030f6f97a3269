namespace LowRank.Cli.Bench.Train;

/// <summary>The measurements of <c>lowrank bench train</c>.</summary>
internal sealed record TrainMeasurement
{
    /// <summary>The options of the measurement.</summary>
    public required TrainBenchOptions Options { get; init; }

    /// <summary>Tokens per step.</summary>
    public required long Tokens { get; init; }

    /// <summary>Number of trained weights.</summary>
    public required long TrainedParameters { get; init; }

    /// <summary>Each timed step, in seconds.</summary>
    public required IReadOnlyList<double> Seconds { get; init; }

    /// <summary>The steps with products in float32 that were timed in turns with these; none where these are
    /// in float32 themselves.</summary>
    public required IReadOnlyList<double> Float32Seconds { get; init; }

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

    /// <summary>The GPU's largest use during steps, with the base's weights; null without an NVIDIA GPU.</summary>
    public long? DeviceBytes { get; init; }

    /// <summary>Bytes of the base's weights.</summary>
    public required long WeightBytes { get; init; }

    /// <summary>Managed bytes that a step allocates.</summary>
    public required long ManagedBytes { get; init; }

    /// <summary>Parts of a step in seconds, the fastest of each.</summary>
    public required IReadOnlyList<(string Part, double Seconds)> Parts { get; init; }

    /// <summary>The fastest step.</summary>
    public double StepSeconds => Seconds.Min();

    /// <summary>The median step.</summary>
    public double MedianSeconds => Median.Of(Seconds);

    /// <summary>Tokens per second in the fastest step.</summary>
    public double TokensPerSecond => Tokens / StepSeconds;

    /// <summary>Operations per token.</summary>
    public double FlopsPerToken => Cost.Total / Tokens;

    /// <summary>Operations per second divided by the rate of matrix products.</summary>
    public double ShareOfLimit => Cost.Total / StepSeconds / GemmFlopsPerSecond;

    /// <summary>Tokens per second as a multiple of those with products in float32; null where none were
    /// timed.</summary>
    public double? OfFloat32 => Float32Seconds.Count == 0 ? null : Median.OfQuotients(Float32Seconds, Seconds);

    /// <summary>What another program reached on the same steps; null without one.</summary>
    public BesideResult? Beside { get; init; }

    /// <summary>Tokens per second of the median step as a multiple of the other program's; null without one.</summary>
    public double? OfBeside => Tokens / MedianSeconds / Beside?.TokensPerSecond;
}
