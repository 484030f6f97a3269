using LowRank.Cli.Common;
using LowRank.Recipes;
using LowRank.Training;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace LowRank.Cli.Views;

/// <summary>Shows a run of <c>lowrank train</c>: notes, progress, and the table before and after.</summary>
internal sealed class TrainingView(RecipeRun run)
{
    /// <summary>Shows the notes before the run.</summary>
    /// <param name="resume">Whether a run is being resumed; changed settings are then listed.</param>
    public void ShowNotes(bool resume)
    {
        ShowNotes(run);
        if (!resume) return;
        foreach (string change in run.ChangesSinceStart())
            Console.Error.WriteLine($"note: {change}; the resumed run differs from the original one");
    }

    /// <summary>Shows the notes of a prepared run.</summary>
    public static void ShowNotes(RecipeRun run)
    {
        foreach (string note in run.Notes) Console.Error.WriteLine("note: " + note);
        foreach (string advice in run.Advice) Console.Error.WriteLine("advice: " + advice);
        if (run.MemoryProblem(run.Sizes()) is { } problem)
            Console.Error.WriteLine(
                $"advice: {problem}; the system will swap or kill the run. Use a smaller model, or fewer trained " +
                "weights.");
    }

    /// <summary>Measures the model before training, if there is a comparison, and says so; a resumed run reuses the
    /// earlier measurement.</summary>
    public ComparisonSide? MeasureBefore(bool resume) => run.MeasureBefore(resume, () => Measure("before"));

    /// <summary>Measures the comparison, if there is one, and says so.</summary>
    public ComparisonSide? Measure(string when)
    {
        if (run.Recipe.Comparison is null) return null;
        Console.WriteLine($"Measuring the model {when} training …");
        return run.Measure();
    }

    /// <summary>Shows the run: a live bar in a terminal, plain lines elsewhere.</summary>
    /// <param name="train">Trains and notifies the observer.</param>
    public static TrainingResult Follow(Func<ITrainingObserver, TrainingResult> train)
    {
        if (!Screen.IsLive) return train(new TerminalProgress(new PlainProgress(Console.Out)));
        return Screen.Live(show => train(new TerminalProgress(new LiveProgress(show, TimeProvider.System))));
    }

    /// <summary>Shows where the weights are saved, and the comparison.</summary>
    public void ShowResult(TrainingResult result, ComparisonSide? before, ComparisonSide? after)
    {
        foreach (string note in run.LateNotes) Console.Error.WriteLine("note: " + note);
        long trained = run.TrainedParameters;
        var figures = new RunFigures(trained, run.Model.Network.ParameterCount + (run.Adapter?.ParameterCount ?? 0),
            FolderBytes(result.SavedFolder), result.Elapsed, result.PeakMemoryBytes);
        if (Ending(result) is { } ending) Console.WriteLine(ending);
        if (result.SkippedSteps > 0)
            Console.WriteLine(
                $"{result.SkippedSteps:n0} of {result.Steps:n0} steps were skipped because their loss or gradient " +
                "was not finite (\"skipped\" in metrics.jsonl)");
        Console.WriteLine(
            $"Saved {result.SavedFolder} ({figures.Size}), {Durations.Show(result.Elapsed)}, peak memory " +
            $"{figures.Memory}");
        if (before is not null && after is not null)
            Screen.Write(ComparisonTable.Of(figures, run.Compare(before, after)));
    }

    private string? Ending(TrainingResult result) => result.Ending switch
    {
        RunEnding.NoImprovement =>
            $"Ended after step {result.Steps}: no better held-out loss in {run.Recipe.Training.Patience} evaluations. "
            + (result.BestStep is { } best
            ? $"The best weights, of step {best} with loss {result.BestLoss:f4}, are in " +
            $"{Path.Combine(run.Recipe.Output, "best")}" : ""),
        RunEnding.TimeSpent =>
            $"Ended after step {result.Steps}: training.max_time is used up. To continue, increase it and use --resume",
        RunEnding.TokensSpent =>
            $"Ended after step {result.Steps}: {result.Tokens:n0} tokens were computed, and training.max_tokens is " +
            $"{run.Recipe.Training.MaxTokens:n0}. To continue, increase it and use --resume",
        _ => null,
    };

    private static long FolderBytes(string folder) =>
        new DirectoryInfo(folder).EnumerateFiles("*", SearchOption.AllDirectories).Sum(file => file.Length);
}

/// <summary>Progress in a terminal: a bar, the latest metrics and the losses so far, redrawn in place.</summary>
/// <param name="draw">Replaces the last picture.</param>
/// <param name="time">Decides when the last picture is old enough.</param>
internal sealed class LiveProgress(Action<IRenderable> draw, TimeProvider time) : ITrainingObserver
{
    // Smooth enough, and no load on the training.
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(250);
    private const int BarWidth = 40;
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
        int full = plan.Steps == 0 ? 0 : (int)(BarWidth * step / plan.Steps);
        List<IRenderable> lines =
        [
            .. plan.Notes.Select(note => new Text("note: " + note)),
            new Text(
                $"Training {plan.TrainableParameters:n0} of {plan.TotalParameters:n0} weights on " +
                $"{plan.Examples:n0} examples"),
            new Markup(
                $"[green]{new string('━', full)}[/][grey]{new string('━', BarWidth - full)}[/] " +
                $"{step:n0}/{plan.Steps:n0} steps"),
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
