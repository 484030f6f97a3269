namespace LowRank.Cli.Bench.Load;

/// <summary>A part of a run's start.</summary>
/// <param name="Name">What is done.</param>
/// <param name="Seconds">How long it takes.</param>
internal sealed record StartPart(string Name, double Seconds);
