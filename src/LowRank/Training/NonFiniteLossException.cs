namespace LowRank.Training;

/// <summary>Training has left the numbers: step after step the loss or the gradient is infinite or not a number.</summary>
/// <param name="step">The step it stopped at, counted from 1.</param>
/// <param name="diagnosis">What was found, where, and what to try.</param>
public sealed class NonFiniteLossException(long step, string diagnosis) : Exception(diagnosis)
{
    /// <summary>The step it stopped at, counted from 1.</summary>
    public long Step { get; } = step;
}
