namespace LowRank.Cli.Bench.Lengths;

/// <summary>Four loops over the same data: two over rows in a drawn order, two over rows grouped by prompt.</summary>
internal sealed record LengthsMeasurement
{
    /// <summary>Rows of the data.</summary>
    public required int Rows { get; init; }

    /// <summary>Distinct prompts of them.</summary>
    public required int Prompts { get; init; }

    /// <summary>Each batch padded, logits of every position; rows in a drawn order.</summary>
    public required LoopMeasurement Plain { get; init; }

    /// <summary>The same rows packed, the head where a label is predicted.</summary>
    public required LoopMeasurement Packed { get; init; }

    /// <summary>As <see cref="Plain"/>, on the rows of <see cref="Shared"/>.</summary>
    public required LoopMeasurement PlainGrouped { get; init; }

    /// <summary>Packed, rows of one prompt together and the prompt computed once.</summary>
    public required LoopMeasurement Shared { get; init; }

    /// <summary>Labelled tokens a second of the packed loop, in those of the plain one; the same rows.</summary>
    public double PackedSpeedup => Packed.LabelsPerSecond / Plain.LabelsPerSecond;

    /// <summary>Labelled tokens a second of the sharing loop, in those of the plain one.</summary>
    public double SharedSpeedup => Shared.LabelsPerSecond / Plain.LabelsPerSecond;

    /// <summary>The same, in those of the plain loop on the same rows.</summary>
    public double SharedSpeedupOnSameRows => Shared.LabelsPerSecond / PlainGrouped.LabelsPerSecond;

    /// <summary><see cref="PackedSpeedup"/> in processor time.</summary>
    public double PackedSpeedupOfProcessor => Packed.LabelsPerProcessorSecond / Plain.LabelsPerProcessorSecond;

    /// <summary><see cref="SharedSpeedup"/> in processor time.</summary>
    public double SharedSpeedupOfProcessor => Shared.LabelsPerProcessorSecond / Plain.LabelsPerProcessorSecond;

    /// <summary>Largest relative difference of loss or gradient norm from the plain loop's on the same rows.</summary>
    public double LargestDifference => Differences(Plain, Packed).Concat(Differences(PlainGrouped, Shared)).Max();

    private static IEnumerable<double> Differences(LoopMeasurement plain, LoopMeasurement other) => plain.Results.Zip(other.Results, (a, b) =>
        Math.Max(Math.Abs(a.Loss - b.Loss) / Math.Abs(a.Loss), Math.Abs(a.Norm - b.Norm) / Math.Max(1e-12, Math.Abs(a.Norm))));
}
