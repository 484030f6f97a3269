namespace LowRank.Samples.Understanding;

/// <summary>A bar.</summary>
/// <param name="Name">What it stands for.</param>
/// <param name="Value">Its length; 0 or more.</param>
/// <param name="Label">The text at its end.</param>
/// <param name="Color">Which of the chart's colours, from 0.</param>
public sealed record ChartBar(string Name, double Value, string Label, int Color = 0);
