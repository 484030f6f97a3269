using LowRank.Quantization;

namespace LowRank.Cli.Bench.Generate;

/// <summary>The measurements of <c>lowrank bench generate</c> for weights in one format: greedy generation with a
/// cache.</summary>
/// <remarks>A round measures everything, one after the other. Values are compared within a round, because the memory's
/// speed changes over time; the median round counts.</remarks>
internal sealed record GenerateMeasurement
{
    /// <summary>The options of the measurement.</summary>
    public required GenerateOptions Options { get; init; }

    /// <summary>The format of the weights, such as nf4.</summary>
    public required string Format { get; init; }

    /// <summary>Whether the weights are in float32.</summary>
    public bool IsFloat32 => Format == WeightFormats.Float32;

    /// <summary>The measurement of the same shape in float32, in turns with this one; null if there was none.</summary>
    public GenerateMeasurement? Float32 { get; init; }

    /// <summary>What llama.cpp reached in turns with this; null if it was not measured, or has no such type.</summary>
    public LlamaBenchResult? Other { get; init; }

    /// <summary>Threads.</summary>
    public required int Threads { get; init; }

    /// <summary>Numbers of the processor's widest vectors.</summary>
    public required int VectorWidth { get; init; }

    /// <summary>One sequence, the base alone.</summary>
    public required GenerationWay One { get; init; }

    /// <summary>Several sequences, the base alone.</summary>
    public required GenerationWay Many { get; init; }

    /// <summary>One sequence, with the adapter; null without one.</summary>
    public GenerationWay? OneAdapted { get; init; }

    /// <summary>Several sequences, with the adapter; null without one.</summary>
    public GenerationWay? ManyAdapted { get; init; }

    /// <summary>Memory read rate in each round, in bytes per second; see <see cref="ReadRate"/>.</summary>
    public required IReadOnlyList<double> Reads { get; init; }

    /// <summary>Memory read rate, in bytes per second.</summary>
    public double ReadBytesPerSecond => Median.Of([.. Reads]);

    /// <summary>Bytes of weights and cache that a step of one sequence reads.</summary>
    public required double StepBytes { get; init; }

    /// <summary>Bytes that a step of several sequences reads.</summary>
    public required double ManyStepBytes { get; init; }

    /// <summary>Floating-point operations for the prompt of one sequence.</summary>
    public required double PromptFlops { get; init; }

    /// <summary>The rate of the prompt's own matrix products, see <see cref="Train.ProductRate"/>.</summary>
    public required double GemmFlopsPerSecond { get; init; }

    /// <summary>The process's largest resident size while one sequence was generated, without the weights; null for
    /// all but the first format, beside which others are open.</summary>
    public long? PeakBytes { get; init; }

    /// <summary>Bytes of the base's weights.</summary>
    public required long WeightBytes { get; init; }

    /// <summary>Bytes per second read by the steps of one sequence, divided by the memory read rate.</summary>
    public double ShareOfLimit => Share(StepBytes, One);

    /// <summary>The same for several sequences.</summary>
    public double ManyShareOfLimit => Share(ManyStepBytes, Many);

    /// <summary>Operations per second of a prompt up to its first new token, divided by the rate of matrix
    /// products.</summary>
    public double PromptShareOfLimit => PromptFlops / One.PromptSeconds / GemmFlopsPerSecond;

    /// <summary>Tokens per second of several sequences, relative to one sequence.</summary>
    public double BatchSpeedup => Many.Batch * Median.OfQuotients(One.Rounds, Many.Rounds);

    /// <summary>Time that the adapter adds to a step of one sequence, as a share; null without one.</summary>
    public double? AdapterCost => OneAdapted is null ? null : Median.OfQuotients(OneAdapted.Rounds, One.Rounds) - 1;

    /// <summary>The same for several sequences.</summary>
    public double? ManyAdapterCost => ManyAdapted is null ? null
        : Median.OfQuotients(ManyAdapted.Rounds, Many.Rounds) - 1;

    /// <summary>Time that the adapter adds to a prompt of one sequence, as a share, of the fastest; null without
    /// one.</summary>
    public double? PromptAdapterCost => OneAdapted?.PromptSeconds / One.PromptSeconds - 1;

    /// <summary>Tokens per second of one sequence as a multiple of float32's; null without it.</summary>
    public double? OfFloat32 => Float32 is null ? null : Median.OfQuotients(Float32.One.Rounds, One.Rounds);

    /// <summary>The same for several sequences.</summary>
    public double? ManyOfFloat32 => Float32 is null ? null : Median.OfQuotients(Float32.Many.Rounds, Many.Rounds);

    /// <summary>The same for a prompt.</summary>
    public double? PromptOfFloat32 => Float32 is null ? null : Median.OfQuotients(Float32.One.Prompts, One.Prompts);

    /// <summary>Tokens per second of one sequence, over all steps of a round, as a multiple of llama.cpp's.</summary>
    public double? OfOther => Other is null ? null
        : Median.OfQuotients(One.Means.Select(seconds => 1 / seconds), Other.Generated);

    /// <summary>Tokens per second of a prompt as a multiple of llama.cpp's.</summary>
    public double? PromptOfOther => Other is null ? null
        : Median.OfQuotients(One.Prompts.Select(seconds => Options.Prompt / seconds), Other.Prompts);

    private double Share(double bytes, GenerationWay way) =>
        Median.OfQuotients(way.Rounds.Select(seconds => bytes / seconds), Reads);
}
