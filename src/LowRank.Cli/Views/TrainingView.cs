using LowRank.Recipes;
using LowRank.Training;
using Spectre.Console;

namespace LowRank.Cli.Views;

/// <summary>What <c>lowrank train</c> shows: notes, progress, and the table before and after.</summary>
internal sealed class TrainingView(RecipeRun run)
{
    /// <summary>Follows the run: a live bar in a terminal, plain lines elsewhere.</summary>
    public ITrainingObserver Progress { get; } = new PlainProgress(Console.Out);

    /// <summary>Shows what the user should know before the run.</summary>
    public void ShowNotes()
    {
        foreach (string note in run.Notes) Console.Error.WriteLine("note: " + note);
    }

    /// <summary>Measures the comparison, if there is one, and says so.</summary>
    public ComparisonSide? Measure(string when)
    {
        if (run.Recipe.Comparison is null) return null;
        Console.WriteLine($"Measuring the model {when} training …");
        return run.Measure();
    }

    /// <summary>Shows where the weights are, and the comparison.</summary>
    public void ShowResult(TrainingResult result, ComparisonSide? before, ComparisonSide? after)
    {
        Console.WriteLine($"Saved {result.SavedFolder} ({FolderBytes(result.SavedFolder) / 1e6:f2} MB), "
            + $"{result.Elapsed.TotalSeconds:f0} s, peak memory {result.PeakMemoryBytes / 1e9:f2} GB");
        if (before is null || after is null) return;
        AnsiConsole.Write(ComparisonTable.Of(run, result, run.Compare(before, after)));
    }

    private static long FolderBytes(string folder) => new DirectoryInfo(folder).EnumerateFiles("*", SearchOption.AllDirectories).Sum(file => file.Length);
}
