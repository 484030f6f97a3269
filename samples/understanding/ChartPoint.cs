namespace LowRank.Samples.Understanding;

/// <summary>A point of a line.</summary>
/// <param name="X">Its place on the horizontal axis.</param>
/// <param name="Y">Its place on the vertical axis.</param>
/// <param name="Label">A text beside it; null for none.</param>
public sealed record ChartPoint(double X, double Y, string? Label = null);
