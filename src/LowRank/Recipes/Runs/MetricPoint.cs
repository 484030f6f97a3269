using System.Runtime.InteropServices;

namespace LowRank.Recipes.Runs;

/// <summary>A measurement of a run.</summary>
/// <param name="Step">Optimizer steps taken by then; 0 before training.</param>
/// <param name="Value">What was measured.</param>
[StructLayout(LayoutKind.Auto)]
public readonly record struct MetricPoint(long Step, double Value);
