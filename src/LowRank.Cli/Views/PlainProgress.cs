using LowRank.Training;

namespace LowRank.Cli.Views;

/// <summary>Progress as plain lines, one every few seconds: for logs and pipes.</summary>
internal sealed class PlainProgress(TextWriter output) : ITrainingObserver
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);
    private TimeSpan shown = -Interval;
    private long total;
    private const int MostSkips = 10; // shown at once; later ones with the next line

    public void Started(TrainingPlan plan)
    {
        total = plan.Steps;
        foreach (string note in plan.Notes) output.WriteLine("note: " + note);
        output.WriteLine($"Training {plan.TrainableParameters:n0} of {plan.TotalParameters:n0} weights "
            + $"({100.0 * plan.TrainableParameters / plan.TotalParameters:f2} %) on {plan.Examples:n0} examples, " +
            $"{plan.Steps:n0} steps");
    }

    public void Stepped(TrainingStep step)
    {
        if (step.Skipped is { } reason && step.SkippedSteps <= MostSkips)
            output.WriteLine($"step {step.Step}/{total}   skipped, the weights stay unchanged: {reason}");
        if (step.Step != total && step.Step != 1 && step.Elapsed - shown < Interval) return;
        shown = step.Elapsed;
        string left = Durations.Show(Durations.Left(step.Elapsed, step.Step, total));
        output.WriteLine(
            $"step {step.Step}/{total}   loss {step.Loss:f4}   {step.TokensPerSecond:f0} tokens/s   {left} " +
            $"left{(step.SkippedSteps > 0 ? $"   {step.SkippedSteps:n0} skipped" : "")}");
        output.Flush();
    }

    public void Evaluated(EvaluationResult evaluation) =>
        output.WriteLine(
            $"step {evaluation.Step}/{total}   held-out loss {evaluation.Loss:f4}{MetricText.Of(evaluation)}");

    public void Waiting(string message)
    {
        output.WriteLine("waiting: " + message);
        output.Flush();
    }

    public void Finished(TrainingResult result) => output.Flush();
}

/// <summary>A task's metrics in a line.</summary>
internal static class MetricText
{
    /// <summary>"   accuracy 0.9312   macro_f1 0.9288"; empty without metrics.</summary>
    public static string Of(EvaluationResult evaluation) =>
        string.Concat(
            evaluation.Metrics.Select(
                metric => $"   {metric.Key} {(metric.Value is { } value ? value.ToString("f4") : "undefined")}"));
}
