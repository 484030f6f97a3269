using System.Globalization;
using LowRank.Adapters.Methods;
using LowRank.Recipes;
using LowRank.Recipes.Runs;
using LowRank.Training;

namespace LowRank.Cli.Runs;

/// <summary>Finds runs below a folder, and reads what each folder tells. Nothing is written.</summary>
internal static class RunFolders
{
    // folders below each other that are searched: runs/, sweeps in it, and some order of the user's
    private const int Deepest = 5;
    private const string Metrics = "metrics.jsonl", RecipeFile = "recipe.yaml", FactsFile = RunFacts.FileName;

    private static readonly EnumerationOptions Below =
        new() { IgnoreInaccessible = true, AttributesToSkip = FileAttributes.ReparsePoint | FileAttributes.Hidden };

    /// <summary>The folders of runs, in the order of their names.</summary>
    public static IReadOnlyList<string> Find(string folder)
    {
        var found = new List<string>();
        Search(folder, Deepest, found);
        return [.. found.Order(StringComparer.Ordinal)];
    }

    /// <summary>Changes whenever a run's files do; not when its process ends.</summary>
    public static string Stamp(string run) =>
        string.Join(' ',
        new[] { Metrics, RecipeFile, FactsFile }.Select(
            name => new FileInfo(Path.Combine(run, name)) is { Exists: true } file
        ? string.Create(CultureInfo.InvariantCulture, $"{file.Length}:{file.LastWriteTimeUtc.Ticks}") : "-"));

    /// <summary>Reads a run; <see cref="RunRow.State"/> is what the files say of it, without a look at its
    /// process.</summary>
    /// <param name="root">The folder that was searched.</param>
    /// <param name="run">The run's.</param>
    public static RunRow Read(string root, string run)
    {
        var problems = new List<string>();
        // Any of the files may be gone since, of another version, damaged or not ours to read: the run is listed with
        // what the others tell.
        RunMetrics metrics = Part(run, Metrics, RunMetrics.Read, problems) ?? RunMetrics.None;
        Recipe? recipe =
            Part(run, RecipeFile, path => Recipe.Parse(SmallFile.ReadText(path), run, name: RecipeFile), problems);
        RunFacts facts = Part(run, FactsFile, path => RunFacts.Parse(SmallFile.ReadText(path)), problems)
            ?? new RunFacts();
        if (metrics.WrongLines > 0)
            problems.Add(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{metrics.WrongLines:n0} of {metrics.Lines:n0} lines of {Metrics} cannot be read ('lowrank " +
                    $"report' names them)"));
        MetricPoint? best = metrics.Series.GetValueOrDefault("eval_loss")?.LowestOfSteps;
        bool hasRank = recipe is not null && recipe.Adapter.Method != "full" && recipe.Training.InitAdapter is null
            && AdapterMethods.Get(recipe.Adapter.Method).Keys.Contains("rank");
        return new RunRow(Path.GetRelativePath(root, run).Replace('\\', '/'), State(run, facts),
            metrics.LastStep, facts.PlannedSteps ?? recipe?.Training.Steps, best?.Value, best?.Step,
            recipe?.Adapter.Method, hasRank ? recipe!.Adapter.Rank : null, recipe?.EffectiveLearningRate, facts.Seconds,
            Changed(run)) { Problems = [.. problems] };
    }

    private static T? Part<T>(string run, string file, Func<string, T> read, List<string> problems) where T : class
    {
        string path = Path.Combine(run, file);
        try
        {
            return File.Exists(path) ? read(path) : null;
        }
        catch (InputException e)
        {
            problems.Add(
                $"{file} was left out: " +
                $"{(e.Problems is [var first, ..] ? first : e.Message).TrimEnd('.')}{(e.Problems.Count > 1 ? $" (and {e.Problems.Count - 1} more)" : "")}");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            problems.Add($"{file} was left out: {e.Message.TrimEnd('.')}");
        }
        return null;
    }

    /// <summary>The state with a look at the run's process, which the operating system's lock tells.</summary>
    public static RunRow Now(string root, RunRow row)
    {
        if (row.State is "finished" or "stopped") return row; // a run that goes on has said so in its files
        try
        {
            RunFolder.RequireFree(Path.Combine(root, row.Folder));
            return row;
        }
        catch (InputException)
        {
            return row with { State = "running" };
        }
    }

    private static void Search(string folder, int depth, List<string> found)
    {
        if (File.Exists(Path.Combine(folder, Metrics)))
        {
            found.Add(folder);
            return; // its folders are its own
        }
        if (depth == 0 || !Directory.Exists(folder)) return;
        foreach (string child in Directory.EnumerateDirectories(folder, "*", Below)) Search(child, depth - 1, found);
    }

    // A file that says running is left by a kill, unless the lock is held.
    private static string State(string run, RunFacts facts) => facts.State switch
    {
        RunFacts.Finished or RunFacts.Stopped => facts.State,
        null when Directory.Exists(Path.Combine(run, "adapter"))
        || Directory.Exists(Path.Combine(run, "model")) => "ended",
        _ => "killed",
    };

    private static DateTimeOffset Changed(string run) =>
        new[] { Metrics, FactsFile }.Select(name => new FileInfo(Path.Combine(run, name))).Where(file => file.Exists)
            .Max(file => new DateTimeOffset(file.LastWriteTimeUtc));
}
