namespace LowRank.SpeedTests;

/// <summary>A share that was measured.</summary>
/// <param name="Share">Of the limit.</param>
/// <param name="Limit">The limit, a second.</param>
internal sealed record RecordedShare(double Share, double Limit);
