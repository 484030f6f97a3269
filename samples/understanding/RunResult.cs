namespace LowRank.Samples.Understanding;

/// <summary>What one run measured.</summary>
/// <param name="Value">Where it stands on the plot's horizontal axis.</param>
/// <param name="Loss">Held-out loss of the task after the run, nats a token; null where training diverged.</param>
/// <param name="Trained">Trained weights.</param>
/// <param name="Bytes">Size of the saved adapter or model.</param>
/// <param name="PeakMemory">Largest resident memory of the process, bytes.</param>
/// <param name="SecondsPerStep">Median of the steps.</param>
/// <param name="BaseLoss">Loss on held-out text of the base after the run; null where it was not measured.</param>
internal sealed record RunResult(double Value, double? Loss, long Trained, long Bytes, double PeakMemory, double SecondsPerStep, double? BaseLoss);
