using System.CommandLine;
using LowRank.Cli.Report;
using LowRank.Cli.Sweep;
using LowRank.Recipes.Runs;
using LowRank.Tensors;

namespace LowRank.Cli.Commands;

/// <summary><c>lowrank report</c>.</summary>
internal sealed class ReportCommand : ICliCommand
{
    public string Example => "lowrank report runs/quickstart --output quickstart.html";

    public Command Build()
    {
        var runs = new Argument<string[]>("runs") { Description = $"Folders of runs (a recipe's output), or of sweeps, whose runs are shown; {RunLook.Most} runs at most.", Arity = ArgumentArity.OneOrMore };
        var output = new Option<string>("--output") { Description = "The page, one HTML file.", DefaultValueFactory = _ => "report.html" };
        return new Command("report", "Write a page about runs, finished or not: curves, generated texts, data, recipe, and several runs side by side. It is one file, works without a network, "
            + "and changes nothing in the runs.") { runs, output }
            .Does(parsed => Write(parsed.GetRequiredValue(runs), parsed.GetRequiredValue(output)), OptionUse.Always(output));
    }

    // Of a sweep as many as a page shows, the best first.
    private static IEnumerable<string> Runs(string folder)
    {
        if (File.Exists(Path.Combine(folder, "metrics.jsonl")) || SweepState.Runs(folder) is not { } runs) return [folder];
        if (runs.Count == 0) throw new InputException($"{folder} is a sweep's folder, and none of its runs has begun.");
        if (runs.Count > RunLook.Most) Console.Error.WriteLine($"note: {folder} has {runs.Count} runs; the best {RunLook.Most} are shown");
        return runs.Take(RunLook.Most);
    }

    private static void Write(string[] folders, string output)
    {
        folders = [.. folders.SelectMany(Runs)];
        if (folders.Length > RunLook.Most) throw new InputException($"{folders.Length} runs are given; one page shows {RunLook.Most} at most. Make several pages.");
        if (Directory.Exists(output)) throw new InputException($"--output is {output}, which is a folder; expected a file such as {Path.Combine(output, "report.html")}.");
        if (Path.GetExtension(output) is not (".html" or ".htm")) // a run's own file would be lost by a slip
            throw new InputException($"--output is {output}; expected a name that ends with .html.");
        string page = ReportPage.Of(RunRecord.Open(folders));
        AtomicFile.Write(output, page);
        Console.WriteLine($"Wrote {output} ({Figures.Bytes(new FileInfo(output).Length).Replace('\u00A0', ' ')}).");
    }
}
