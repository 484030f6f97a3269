namespace LowRank.Samples.Understanding;

/// <summary>How long a generated token takes, measured in turns in one process.</summary>
/// <param name="Rank">Rank of the adapter.</param>
/// <param name="Repeats">Texts generated in each state.</param>
/// <param name="Tokens">Tokens of each text.</param>
/// <param name="BaseMilliseconds">Shortest time of the base alone, in milliseconds a token: other work makes a text
/// longer only.</param>
/// <param name="UnmergedMilliseconds">Shortest time with the adapter in its slots.</param>
/// <param name="MergedMilliseconds">Shortest time with the adapter added into the weights.</param>
public sealed record LatencyResult(
    int Rank, int Repeats, int Tokens, double BaseMilliseconds, double UnmergedMilliseconds, double MergedMilliseconds);
