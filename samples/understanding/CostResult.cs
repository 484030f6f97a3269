namespace LowRank.Samples.Understanding;

/// <summary>What a step of a method costs, measured for all methods in turns in one process.</summary>
/// <param name="Method">The value of <c>adapter.method</c>.</param>
/// <param name="Rounds">How often all methods were measured, one after the other.</param>
/// <param name="SecondsPerStep">Mean over the steps, of each the shortest time of all rounds.</param>
/// <param name="ProcessorSecondsPerStep">The same of the time that processors worked, which other work on the machine
/// changes less.</param>
/// <param name="MemoryBytes">The most memory of the process in those steps, less what it held with the base opened;
/// median over the rounds.</param>
public sealed record CostResult(
    string Method, int Rounds, double SecondsPerStep, double ProcessorSecondsPerStep, long MemoryBytes);
