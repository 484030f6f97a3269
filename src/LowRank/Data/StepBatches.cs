namespace LowRank.Data;

/// <summary>The micro-batches of one optimizer step.</summary>
/// <param name="MicroBatches">At least one; examples each.</param>
/// <param name="PredictedLabels">Labels that all of them predict together: what the step's loss is divided by.</param>
public sealed record StepBatches(IReadOnlyList<IReadOnlyList<IExample>> MicroBatches, long PredictedLabels);
