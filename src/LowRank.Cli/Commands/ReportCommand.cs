using System.CommandLine;
using LowRank.Cli.Common;
using LowRank.Cli.Report;
using LowRank.Cli.Sweep;
using LowRank.IO;
using LowRank.Recipes.Runs;

namespace LowRank.Cli.Commands;

/// <summary><c>lowrank report</c>.</summary>
internal sealed class ReportCommand : ICliCommand
{
    public string Example => "lowrank report runs/quickstart --output quickstart.html";

    public Command Build()
    {
        var runs = new Argument<string[]>("runs")
        {
            Description = $"Folders of runs (a recipe's output) or of sweeps; at most {RunLook.Most} runs.",
            Arity = ArgumentArity.OneOrMore,
        };
        var output = new Option<string>("--output")
        {
            Description = "The HTML file to write, or - for standard output.",
            DefaultValueFactory = _ => "report.html",
        };
        return new Command("report",
            "Write an HTML page about runs, finished or not: curves, generated texts, data, recipe, and several runs " +
            "side by side. The page is a single file that works offline; the runs are not changed.")
            { runs, output }
            .Does(parsed => Write(parsed.GetRequiredValue(runs), parsed.GetRequiredValue(output)),
                OptionUse.Always(output));
    }

    // Takes a sweep's best runs, as many as fit on a page.
    private static IEnumerable<string> Runs(string folder)
    {
        if (File.Exists(Path.Combine(folder, "metrics.jsonl")) || SweepState.Runs(folder) is not { } runs)
            return [folder];
        if (runs.Count == 0) throw new InputException($"{folder} is a sweep's folder, but none of its runs has " +
            "started.");
        if (runs.Count > RunLook.Most)
            Console.Error.WriteLine($"note: {folder} has {runs.Count} runs; the best {RunLook.Most} are shown");
        return runs.Take(RunLook.Most);
    }

    private static void Write(string[] folders, string output)
    {
        folders = [.. folders.SelectMany(Runs)];
        if (folders.Length > RunLook.Most)
            throw new InputException(
                $"{folders.Length} runs were given, but a page shows at most {RunLook.Most}. Create several pages.");
        // A page in a run's folder may be replaced, but never a file of the run itself, under any name.
        OutputFile file =
            OutputFile.Of(
                "--output", output, folders.Where(Directory.Exists)
                .SelectMany(folder => Directory.EnumerateFiles(folder)).Where(name => !IsPage(name)));
        if (!file.IsStandardOutput && !IsPage(output) && !AtomicFile.WritesThrough(output))
            throw new InputException($"--output is {output}; expected a name that ends with .html.");
        string page = ReportPage.Of(RunRecord.Open(folders));
        file.Write(page);
        file.Say(
            $"Wrote {output} ({Figures.Bytes(System.Text.Encoding.UTF8.GetByteCount(page)).Replace('\u00A0', ' ')}).");
    }

    private static bool IsPage(string name) => Path.GetExtension(name) is ".html" or ".htm";
}
