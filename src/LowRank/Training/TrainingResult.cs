namespace LowRank.Training;

/// <summary>What a run has done.</summary>
/// <param name="Steps">Steps, skipped ones included.</param>
/// <param name="LastLoss">Loss of the last step that was not skipped, in nats; null when there was none.</param>
/// <param name="BestStep">The step with the lowest held-out loss; null without an evaluation.</param>
/// <param name="BestLoss">The lowest held-out loss, in nats; null without an evaluation.</param>
/// <param name="Tokens">Tokens trained on, padding left out.</param>
/// <param name="Elapsed">Time spent in steps.</param>
/// <param name="PeakMemoryBytes">Most memory the process held.</param>
/// <param name="SavedFolder">The folder of what was trained.</param>
public sealed record TrainingResult(
    long Steps, double? LastLoss, long? BestStep, double? BestLoss, long Tokens, TimeSpan Elapsed, long PeakMemoryBytes, string SavedFolder)
{
    /// <summary>Why the run ended.</summary>
    public RunEnding Ending { get; init; }

    /// <summary>Steps that changed nothing, because their loss or gradient was not finite.</summary>
    public long SkippedSteps { get; init; }
}
