namespace LowRank.Samples.Understanding;

/// <summary>What a few steps of a method took once.</summary>
/// <param name="Seconds">Time of each step.</param>
/// <param name="ProcessorSeconds">Time that processors worked on each step.</param>
/// <param name="MemoryBytes">The most memory of the process in those steps, less what it held with the base
/// opened.</param>
public sealed record CostRound(IReadOnlyList<double> Seconds, IReadOnlyList<double> ProcessorSeconds, long MemoryBytes)
{
    /// <summary>Mean over the steps, of each the least of all rounds: the steps have the same rows in each, and other
    /// work adds to them only.</summary>
    public static double Least(IReadOnlyList<CostRound> rounds, Func<CostRound, IReadOnlyList<double>> times) =>
        Enumerable.Range(0, times(rounds[0]).Count).Average(step => rounds.Min(round => times(round)[step]));
}
