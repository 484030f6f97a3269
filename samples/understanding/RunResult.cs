namespace LowRank.Samples.Understanding;

/// <summary>What a run measured.</summary>
/// <param name="Name">The run's name.</param>
/// <param name="Rank">Rank of the adapter; null without one.</param>
/// <param name="LearningRate">Peak rate.</param>
/// <param name="Seed">Its seed.</param>
/// <param name="Steps">Optimizer steps taken.</param>
/// <param name="TrainedWeights">How many numbers were trained.</param>
/// <param name="SavedBytes">Size of the weights file that a user keeps.</param>
/// <param name="HeldOutLoss">Mean loss of the test completions after training, in nats a token; null when training
/// diverged.</param>
/// <param name="FactsStated">Facts of the test rows that the generated texts state.</param>
/// <param name="Facts">Facts asked for.</param>
/// <param name="BaseTextLoss">Mean loss on held-out text of the base's own kind, in nats a token.</param>
/// <param name="SecondsPerStep">Median over the steps; on a machine that others use, so not for comparing runs.</param>
public sealed record RunResult(
    string Name, int? Rank, double LearningRate, long Seed, long Steps, long TrainedWeights, long SavedBytes,
    double? HeldOutLoss, int FactsStated, int Facts, double? BaseTextLoss, double SecondsPerStep)
{
    /// <summary>The share of facts stated, from 0 to 1.</summary>
    public double FactShare => Facts == 0 ? 0 : (double)FactsStated / Facts;
}
