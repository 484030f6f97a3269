namespace LowRank.Training;

/// <summary>What an optimizer step did.</summary>
/// <param name="Loss">Mean loss over the step's labels.</param>
/// <param name="GradientNorm">Norm of the gradients before they were clipped.</param>
/// <param name="Tokens">Tokens computed, padding left out.</param>
/// <param name="Elapsed">Time of the whole step.</param>
/// <param name="Update">What of it the optimizer and the method's rules took.</param>
internal sealed record StepOutcome(double Loss, double GradientNorm, long Tokens, TimeSpan Elapsed, TimeSpan Update)
{
    /// <summary>What was no finite number, so that weights, optimizer and rules were left as they were; null for a step that was taken.</summary>
    public string? NonFinite { get; init; }
}
