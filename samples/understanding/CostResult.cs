namespace LowRank.Samples.Understanding;

/// <summary>What a step of a method costs, measured for all methods in one process.</summary>
/// <param name="Method">The value of <c>adapter.method</c>.</param>
/// <param name="SecondsPerStep">Median over the steps.</param>
/// <param name="MemoryBytes">The most memory of the process in those steps, less what it held with the base opened.</param>
public sealed record CostResult(string Method, double SecondsPerStep, long MemoryBytes);
