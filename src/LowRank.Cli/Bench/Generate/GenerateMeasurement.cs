namespace LowRank.Cli.Bench.Generate;

/// <summary>What <c>lowrank bench generate</c> found: greedy generation in float32 with a cache.</summary>
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

    /// <summary>Bytes that the memory gives a second, see <see cref="ReadRate"/>.</summary>
    public required double ReadBytesPerSecond { get; init; }

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
    public double ShareOfLimit => StepBytes / One.StepSeconds / ReadBytesPerSecond;

    /// <summary>The same for several sequences.</summary>
    public double ManyShareOfLimit => ManyStepBytes / Many.StepSeconds / ReadBytesPerSecond;

    /// <summary>Operations a second of a prompt to its first new token, over the rate of matrix products.</summary>
    public double PromptShareOfLimit => PromptFlops / One.PromptSeconds / GemmFlopsPerSecond;

    /// <summary>Tokens a second of several sequences, in those of one, both in the steps in the middle.</summary>
    public double BatchSpeedup => Many.Batch * One.MedianStepSeconds / Many.MedianStepSeconds;

    /// <summary>Time that the adapter adds to a step of one sequence, as a share, of the steps in the middle, which differ less from
    /// run to run than the fastest; null where there is none.</summary>
    public double? AdapterCost => OneAdapted?.MedianStepSeconds / One.MedianStepSeconds - 1;

    /// <summary>The same for several sequences.</summary>
    public double? ManyAdapterCost => ManyAdapted?.MedianStepSeconds / Many.MedianStepSeconds - 1;

    /// <summary>Time that the adapter adds to a prompt of one sequence, as a share; null where there is none.</summary>
    public double? PromptAdapterCost => OneAdapted?.PromptSeconds / One.PromptSeconds - 1;
}
