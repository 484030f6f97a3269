using LowRank.Recipes.Runs;

namespace LowRank.Cli.Report;

/// <summary>A curve of a chart.</summary>
/// <param name="Name">What it shows.</param>
/// <param name="Run">The number of its run.</param>
/// <param name="IsHeldOut">Whether it was measured at evaluations, not at steps: it is drawn bolder, with a dot a point.</param>
/// <param name="Series">Its measurements.</param>
internal sealed record ChartLine(string Name, int Run, bool IsHeldOut, MetricSeries Series);
