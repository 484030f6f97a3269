using System.CommandLine;
using System.Globalization;
using LowRank.Cli.Common;
using LowRank.Cli.Runs;
using LowRank.Cli.Views;
using LowRank.Training;
using Spectre.Console;

namespace LowRank.Cli.Commands;

/// <summary><c>lowrank runs</c>.</summary>
internal sealed class RunsCommand : ICliCommand
{
    // Runs without a value come last.
    private static readonly Dictionary<string, Func<IEnumerable<RunRow>, IEnumerable<RunRow>>> Orders = new()
    {
        ["time"] = rows => rows.OrderByDescending(row => row.Changed),
        ["loss"] = rows => rows.OrderBy(row => row.BestLoss ?? double.PositiveInfinity),
        ["name"] = rows => rows.OrderBy(row => row.Folder, StringComparer.Ordinal),
        ["steps"] = rows => rows.OrderByDescending(row => row.Steps ?? -1),
        ["rank"] = rows => rows.OrderBy(row => row.Rank ?? int.MaxValue),
        ["rate"] = rows => rows.OrderBy(row => row.LearningRate ?? double.PositiveInfinity),
    };

    public string Example => "lowrank runs runs --sort loss";

    public Command Build()
    {
        var folder = new Argument<string>("folder")
        {
            Description = "The folder that contains the runs.",
            DefaultValueFactory = _ => "runs",
        };
        var json = new Option<bool>("--json")
        {
            Description =
                "Print a JSON list: folder, state, steps, planned_steps, best_loss, best_step, method, rank, " +
                "learning_rate, seconds, changed, problems (what is wrong with its files).",
        };
        var sort = new Option<string>("--sort")
        {
            Description = "time (the newest first), loss (the best first), name, steps, rank or rate.",
            DefaultValueFactory = _ => "time",
        };
        sort.AcceptOnlyFromAmong([.. Orders.Keys]);
        return new Command("runs",
            "List the runs below a folder: their state, steps, best held-out loss, method, rank and rate. An index " +
            $"beside them, {RunIndex.FileName}, speeds this up; you may delete it at any time.")
            { folder, json, sort }
            .Does(parsed => List(parsed.GetRequiredValue(folder), parsed.GetRequiredValue(sort), parsed.GetValue(json)),
                OptionUse.Always(json, sort));
    }

    private static void List(string folder, string sort, bool json)
    {
        if (!Directory.Exists(folder))
            throw new InputException(
                $"{folder} does not exist; expected a folder that contains runs, such as the parent of a recipe's " +
                "output.");
        // removes files that a killed run left half-written
        foreach (string run in RunFolders.Find(Path.GetFullPath(folder))) RunFolder.Tidy(run);
        RunRow[] rows =
            [.. Orders[sort](
                RunIndex.List(Path.GetFullPath(folder), text => Console.Error.WriteLine("note: " + text)))];
        foreach (RunRow row in rows.Where(row => row.Problems.Count > 0))
            Console.Error.WriteLine($"note: {Path.Combine(folder, row.Folder)}: {string.Join("; ", row.Problems)}");
        if (json) JsonOutput.Write(rows.Select(Json));
        else if (rows.Length == 0) Console.WriteLine($"No runs below {folder}.");
        else Screen.Write(Table(rows));
    }

    private static object Json(RunRow row) => new
    {
        folder = row.Folder,
        state = row.State,
        steps = row.Steps,
        planned_steps = row.PlannedSteps,
        best_loss = row.BestLoss,
        best_step = row.BestStep,
        method = row.Method,
        rank = row.Rank,
        learning_rate = row.LearningRate,
        seconds = row.Seconds,
        changed = row.Changed,
        problems = row.Problems,
    };

    private static Table Table(RunRow[] rows)
    {
        Table table = new Table().RoundedBorder()
            .AddColumns("run", "state", "steps", "best held-out loss", "method", "rank", "rate", "time", "changed");
        foreach (RunRow row in rows)
            table.AddRow(
                new Text(Screen.Cell(row.Folder)),
                new Text(row.State,
                row.State switch { "running" => new Style(Color.Green), "killed" => new Style(Color.Red),
                _ => Style.Plain }),
                new Text(
                    Invariant(
                        $"{row.Steps ?? 0:n0}{(row.PlannedSteps is { } planned ? Invariant($"/{planned:n0}") : "")}")),
                new Text(row.BestLoss is { } loss ? Invariant($"{loss:f4} (step {row.BestStep:n0})") : "–"),
                new Text(Screen.Cell(row.Method ?? "–")),
                new Text(row.Rank is { } rank ? Invariant($"{rank}") : "–"),
                new Text(row.LearningRate is { } rate ? Invariant($"{rate:0.##e-0}") : "–"),
                new Text(row.Seconds is { } seconds ? Durations.Show(TimeSpan.FromSeconds(seconds)) : "–"),
                new Text(row.Changed.ToLocalTime().ToString("yyyy-MM-dd HH:mm", CultureInfo.InvariantCulture)));
        return table;
    }

    private static string Invariant(FormattableString text) => FormattableString.Invariant(text);
}
