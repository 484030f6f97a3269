namespace LowRank.Training;

/// <summary>One optimizer step.</summary>
/// <param name="Step">Its number, from 1.</param>
/// <param name="Loss">Mean loss a predicted token before the step, in nats; may be no number where the step was skipped.</param>
/// <param name="GradientNorm">Norm of all gradients together, before clipping.</param>
/// <param name="LearningRate">The rate the step was taken with.</param>
/// <param name="Tokens">Tokens of the step's batches, padding left out.</param>
/// <param name="TokensPerSecond">Over the last steps.</param>
/// <param name="Elapsed">Time spent in steps since the start of the run, that before a resume included.</param>
public sealed record TrainingStep(
    long Step, double Loss, double GradientNorm, double LearningRate, long Tokens, double TokensPerSecond, TimeSpan Elapsed)
{
    /// <summary>What was no finite number, so that the step changed nothing; null for a step that was taken.</summary>
    public string? Skipped { get; init; }

    /// <summary>Steps of the run so far that changed nothing, this one included.</summary>
    public long SkippedSteps { get; init; }

    /// <summary>What the process held in memory after the step, in bytes (its resident size); null where it was not measured.</summary>
    public long? MemoryBytes { get; init; }
}
