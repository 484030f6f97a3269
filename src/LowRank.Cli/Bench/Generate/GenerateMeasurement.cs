namespace LowRank.Cli.Bench.Generate;

/// <summary>What <c>lowrank bench generate</c> found: greedy generation in float32 with a cache.</summary>
/// <remarks>A round measures everything, one after the other, and what is compared is compared within a round, for the memory's speed
/// changes in the course of time; of the rounds the one in the middle counts.</remarks>
internal sealed record GenerateMeasurement
{
    /// <summary>What was measured.</summary>
    public required GenerateOptions Options { get; init; }

    /// <summary>Threads.</summary>
    public required int Threads { get; init; }

    /// <summary>Numbers of the processor's widest vectors.</summary>
    public required int VectorWidth { get; init; }

    /// <summary>One sequence, the base alone.</summary>
    public required GenerationWay One { get; init; }

    /// <summary>Several sequences, the base alone.</summary>
    public required GenerationWay Many { get; init; }

    /// <summary>One sequence, with the adapter; null where there is none.</summary>
    public GenerationWay? OneAdapted { get; init; }

    /// <summary>Several sequences, with the adapter; null where there is none.</summary>
    public GenerationWay? ManyAdapted { get; init; }

    /// <summary>Bytes that the memory gave a second in each round, see <see cref="ReadRate"/>.</summary>
    public required IReadOnlyList<double> Reads { get; init; }

    /// <summary>Bytes that the memory gives a second.</summary>
    public double ReadBytesPerSecond => Middle.Of([.. Reads]);

    /// <summary>Bytes of weights and cache that a step of one sequence reads.</summary>
    public required double StepBytes { get; init; }

    /// <summary>Bytes that a step of several reads.</summary>
    public required double ManyStepBytes { get; init; }

    /// <summary>Operations of a prompt of one sequence.</summary>
    public required double PromptFlops { get; init; }

    /// <summary>The rate of the prompt's own matrix products, see <see cref="Train.ProductRate"/>.</summary>
    public required double GemmFlopsPerSecond { get; init; }

    /// <summary>The process's largest resident size while one sequence was generated, without the weights.</summary>
    public required long PeakBytes { get; init; }

    /// <summary>Bytes of the base's weights.</summary>
    public required long WeightBytes { get; init; }

    /// <summary>Bytes read a second by the steps of one sequence, over what the memory gives.</summary>
    public double ShareOfLimit => Share(StepBytes, One);

    /// <summary>The same for several sequences.</summary>
    public double ManyShareOfLimit => Share(ManyStepBytes, Many);

    /// <summary>Operations a second of a prompt to its first new token, over the rate of matrix products.</summary>
    public double PromptShareOfLimit => PromptFlops / One.PromptSeconds / GemmFlopsPerSecond;

    /// <summary>Tokens a second of several sequences, in those of one.</summary>
    public double BatchSpeedup => Many.Batch * Middle.OfQuotients(One.Rounds, Many.Rounds);

    /// <summary>Time that the adapter adds to a step of one sequence, as a share; null where there is none.</summary>
    public double? AdapterCost => OneAdapted is null ? null : Middle.OfQuotients(OneAdapted.Rounds, One.Rounds) - 1;

    /// <summary>The same for several sequences.</summary>
    public double? ManyAdapterCost => ManyAdapted is null ? null : Middle.OfQuotients(ManyAdapted.Rounds, Many.Rounds) - 1;

    /// <summary>Time that the adapter adds to a prompt of one sequence, as a share, of the fastest; null where there is none.</summary>
    public double? PromptAdapterCost => OneAdapted?.PromptSeconds / One.PromptSeconds - 1;

    private double Share(double bytes, GenerationWay way) => Middle.OfQuotients(way.Rounds.Select(seconds => bytes / seconds), Reads);
}
