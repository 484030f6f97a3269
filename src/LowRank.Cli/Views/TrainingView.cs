using LowRank.Cli.Common;
using LowRank.Recipes;
using LowRank.Training;
using Spectre.Console;

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

    /// <summary>Computes what preferences are measured against, if that is to be done first, and says so.</summary>
    public void ComputeReference()
    {
        if (!run.PrecomputesReference) return;
        Console.WriteLine("Computing the reference's log-probabilities …");
        MeasuringProgress.Follow(progress =>
        {
            run.ComputeReference(progress);
            return true;
        });
    }

    /// <summary>Measures the comparison, if there is one, and says so.</summary>
    public ComparisonSide? Measure(string when)
    {
        if (run.Recipe.Comparison is null) return null;
        Console.WriteLine($"Measuring the model {when} training …");
        return MeasuringProgress.Follow(run.Measure);
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
