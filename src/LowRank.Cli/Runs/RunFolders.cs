using System.Globalization;
using LowRank.Adapters;
using LowRank.Recipes;
using LowRank.Recipes.Runs;
using LowRank.Training;

namespace LowRank.Cli.Runs;

/// <summary>Finds runs below a folder and reads their files. Writes nothing.</summary>
internal static class RunFolders
{
    // levels of folders to search: runs/, sweeps in it, and some levels that the user adds
    private const int Deepest = 5;
    private const string Metrics = "metrics.jsonl", RecipeFile = "recipe.yaml", FactsFile = RunFacts.FileName;

    private static readonly EnumerationOptions Below =
        new() { IgnoreInaccessible = true, AttributesToSkip = FileAttributes.ReparsePoint | FileAttributes.Hidden };

    /// <summary>The run folders, sorted by name.</summary>
    public static IReadOnlyList<string> Find(string folder)
    {
        var found = new List<string>();
        Search(folder, Deepest, found);
        return [.. found.Order(StringComparer.Ordinal)];
    }

    /// <summary>A stamp that changes whenever a run's files change, but not when its process ends.</summary>
    public static string Stamp(string run) =>
        string.Join(' ',
        new[] { Metrics, RecipeFile, FactsFile }.Select(
            name => new FileInfo(Path.Combine(run, name)) is { Exists: true } file
            ? string.Create(CultureInfo.InvariantCulture, $"{file.Length}:{file.LastWriteTimeUtc.Ticks}") : "-"));

    /// <summary>Reads a run; <see cref="RunRow.State"/> is what the files say, without checking the run's
    /// process.</summary>
    /// <param name="root">The folder that was searched.</param>
    /// <param name="run">The run's folder.</param>
    public static RunRow Read(string root, string run)
    {
        var problems = new List<string>();
        // Any of the files may have been deleted since, come from another version, be damaged or be unreadable. The run
        // is then listed with what the other files say.
        RunMetrics metrics = Part(run, Metrics, RunMetrics.Read, problems) ?? RunMetrics.None;
        Recipe? recipe =
            Part(run, RecipeFile, path => Recipe.Parse(SmallFile.ReadText(path), run, name: RecipeFile), problems);
        RunFacts facts = Part(run, FactsFile, path => RunFacts.Parse(SmallFile.ReadText(path)), problems)
            ?? new RunFacts();
        if (metrics.WrongLines > 0)
            problems.Add(string.Create(CultureInfo.InvariantCulture,
                $"{metrics.WrongLines:n0} of {metrics.Lines:n0} lines of {Metrics} cannot be read ") +
                "('lowrank report' names them)");
        MetricPoint? best = metrics.Series.GetValueOrDefault("eval_loss")?.LowestOfSteps;
        int? rank = recipe is { Training.InitAdapter: null, Adapter: { Method: { } method } adapter }
            && method.Keys.Contains("rank") ? adapter.Config.Rank : null;
        return new RunRow(Path.GetRelativePath(root, run).Replace('\\', '/'), State(run, facts),
            metrics.LastStep, facts.PlannedSteps ?? recipe?.Training.Steps, best?.Value, best?.Step,
            recipe?.Adapter.MethodName, rank, recipe?.EffectiveLearningRate, facts.Seconds,
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
            string first = e.Problems.Count > 0 ? e.Problems[0] : e.Message;
            string more = e.Problems.Count > 1 ? $" (and {e.Problems.Count - 1} more)" : "";
            problems.Add($"{file} was ignored: {first.TrimEnd('.')}{more}");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            problems.Add($"{file} was ignored: {e.Message.TrimEnd('.')}");
        }
        return null;
    }

    /// <summary>The state, taking into account whether the run's process is alive, which the operating system's lock
    /// shows.</summary>
    public static RunRow Now(string root, RunRow row)
    {
        if (row.State is "finished" or "stopped") return row; // the files say so while a run is active
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
            return; // folders inside a run belong to it
        }
        if (depth == 0 || !Directory.Exists(folder)) return;
        foreach (string child in Directory.EnumerateDirectories(folder, "*", Below)) Search(child, depth - 1, found);
    }

    // A file that says "running" was left by a killed run, unless the lock is held.
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
