using LowRank.Training;

namespace LowRank.Cli.Views;

/// <summary>A task's metrics in a line.</summary>
internal static class MetricText
{
    /// <summary>"   accuracy 0.9312   macro_f1 0.9288"; empty without metrics.</summary>
    public static string Of(EvaluationResult evaluation) =>
        string.Concat(
            evaluation.Metrics.Select(
                metric => $"   {metric.Key} {(metric.Value is { } value ? value.ToString("f4") : "undefined")}"));
}
