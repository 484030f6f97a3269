namespace LowRank.Cli.Bench.Load;

/// <summary>A run's start.</summary>
/// <param name="Parts">From the start of the process to the end of the first step, one after the other.</param>
/// <param name="StepSeconds">The fastest of the steps after the first, on a batch of the same size.</param>
/// <param name="InProcessSeconds">From the program's first line to its last, all steps and the saving included.</param>
internal sealed record StartTimes(IReadOnlyList<StartPart> Parts, double StepSeconds, double InProcessSeconds)
{
    /// <summary>From the start of the process to the end of the first step, less a step.</summary>
    public double BeyondStep => Parts.Sum(part => part.Seconds) - StepSeconds;

    /// <summary>The fastest of each part.</summary>
    public static StartTimes Fastest(IReadOnlyList<StartTimes> starts) => new(
        [.. starts[0].Parts.Select((part, i) => part with { Seconds = starts.Min(start => start.Parts[i].Seconds) })],
        starts.Min(start => start.StepSeconds), starts.Min(start => start.InProcessSeconds));
}
