namespace LowRank.Samples.Understanding;

/// <summary>Points that belong together.</summary>
/// <param name="Name">Its name in the legend.</param>
/// <param name="Points">In the order in which a line joins them.</param>
/// <param name="IsJoined">Whether a line joins them.</param>
public sealed record ChartSeries(string Name, IReadOnlyList<ChartPoint> Points, bool IsJoined = true);
