using LowRank.Training;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace LowRank.Cli.Views;

/// <summary>Progress in a terminal: a bar, the latest metrics and the losses so far, redrawn in place.</summary>
/// <param name="draw">Replaces the last picture.</param>
/// <param name="time">Decides when the last picture is old enough.</param>
internal sealed class LiveProgress(Action<IRenderable> draw, TimeProvider time) : ITrainingObserver
{
    // Smooth enough, and no load on the training.
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(250);
    private const int OtherLines = 8; // lines above the curve, also in a narrow terminal, and the line below

    private TrainingPlan plan = new(0, 0, 0, 0, "");
    private TrainingStep? last;
    private TrainingStep? skipped;
    private EvaluationResult? evaluation;
    private EvaluationResult? best;
    private string? waiting;
    private long drawn;
    private readonly LossHistory training = new(), heldOut = new();

    public void Started(TrainingPlan plan)
    {
        this.plan = plan;
        Draw();
    }

    public void Stepped(TrainingStep step)
    {
        last = step;
        if (step.Skipped is not null) skipped = step;
        else training.Add(step.Step, step.Loss);
        if (step.Step == plan.Steps || time.GetElapsedTime(drawn) >= Interval) Draw();
    }

    public void Evaluated(EvaluationResult evaluation)
    {
        this.evaluation = evaluation;
        heldOut.Add(evaluation.Step, evaluation.Loss);
        // Step 0 is the model before training; a NaN is never the best loss.
        if (best is null || best.Step == 0 || !double.IsFinite(best.Loss) || evaluation.Loss < best.Loss)
            best = evaluation;
        Draw();
    }

    public void Waiting(string message)
    {
        waiting = message;
        Draw();
    }

    public void Finished(TrainingResult result) => Draw();

    private void Draw()
    {
        drawn = time.GetTimestamp();
        draw(Picture());
    }

    private IRenderable Picture()
    {
        long step = last?.Step ?? 0;
        List<IRenderable> lines =
        [
            .. plan.Notes.Select(note => new Text("note: " + note)),
            new Text(
                $"Training {plan.TrainableParameters:n0} of {plan.TotalParameters:n0} weights on " +
                $"{plan.Examples:n0} examples"),
            ProgressBar.Of(step, plan.Steps, "steps"),
        ];
        if (last is not null)
            lines.Add(
                new Text(
                    $"loss {last.Loss:f4}   {last.TokensPerSecond:n0} tokens/s   {Durations.Show(last.Elapsed)} " +
                    $"elapsed, {Durations.Show(Durations.Left(last.Elapsed, step, plan.Steps))} left"));
        if (skipped is not null)
            lines.Add(
                new Text(
                    $"{skipped.SkippedSteps:n0} steps skipped, most recently step {skipped.Step:n0}: " +
                    $"{skipped.Skipped}"));
        if (evaluation is not null)
            lines.Add(
                new Text(
                    $"held-out loss {evaluation.Loss:f4} after step {evaluation.Step:n0}; best {best!.Loss:f4} " +
                    $"after step {best.Step:n0}{MetricText.Of(evaluation)}"));
        if (waiting is not null) lines.Add(new Text(waiting));
        lines.Add(new LossCurve(training.Points, heldOut.Points, OtherLines));
        return new Rows(lines);
    }
}
