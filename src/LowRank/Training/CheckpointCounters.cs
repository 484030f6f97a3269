namespace LowRank.Training;

/// <summary>The numbers of a checkpoint's <c>state.json</c>.</summary>
internal sealed record CheckpointCounters(
    long Step, long TotalSteps, long OptimizerSteps, long Tokens, double? BestLoss, long? BestStep, double Seconds);
