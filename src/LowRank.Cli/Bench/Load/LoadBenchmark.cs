using System.CommandLine;
using LowRank.Cli.Commands;
using LowRank.Models;
using Spectre.Console;

namespace LowRank.Cli.Bench.Load;

/// <summary><c>lowrank bench load</c>: how long a training run takes from the start of its process to its first step, part by part.</summary>
/// <remarks>Each round is a process of its own, as a user starts it; the file system's cache holds the files from the second on.</remarks>
internal sealed class LoadBenchmark : IBenchmark
{
    public Command Build()
    {
        var shape = new Argument<string>("shape") { Description = $"A shape with random weights ({string.Join(", ", ModelShapes.Names)}), or a model folder.", DefaultValueFactory = _ => "gpt2-small" };
        var rows = new Option<int>("--rows") { Description = "Rows of training data.", DefaultValueFactory = _ => 1000 };
        var length = new Option<int>("--length") { Description = "Tokens of a row.", DefaultValueFactory = _ => 64 };
        var rounds = new Option<int>("--rounds") { Description = "Processes; the fastest of each part counts.", DefaultValueFactory = _ => 3 };
        var json = new Option<bool>("--json") { Description = "Print JSON." };
        var recipe = new Option<string?>("--recipe") { Description = "Measure the start of this recipe's run in this process, and print it as one line of JSON.", Hidden = true };
        return new Command("load", "The start of lowrank train, from the process to the first step, part by part.") { shape, rows, length, rounds, json, recipe }
            .Does(parsed => parsed.GetValue(recipe) is { } path ? StartedRun.Measure(path)
                : Run(parsed.GetRequiredValue(shape), parsed.GetValue(rows), parsed.GetValue(length), parsed.GetValue(rounds), parsed.GetValue(json)), OptionUse.Always(rows, length, rounds, json, recipe));
    }

    private static int Run(string shape, int rows, int length, int rounds, bool json)
    {
        if (rows < 8 || length < 8 || rounds < 1)
            throw new InputException($"Found --rows {rows}, --length {length}, --rounds {rounds}; expected at least 8 rows of 8 tokens, and one round.");
        using BenchFolder folder = BenchFolder.Open(shape);
        string root = Directory.CreateTempSubdirectory("lowrank-load-").FullName;
        try
        {
            var input = new LoadInput(folder.Path, root, rows, length);
            StartTimes[] starts = [.. Enumerable.Range(0, rounds).Select(_ => Child(input.Recipe))];
            StartTimes fastest = StartTimes.Fastest(starts);
            if (json) JsonOutput.WriteMeasured(fastest);
            else Show(fastest, shape, input);
            return ExitCodes.Success;
        }
        finally
        {
            Directory.Delete(root, recursive: true);
        }
    }

    private static StartTimes Child(string recipe)
    {
        (StartTimes times, double whole) = BenchProcess.Run<StartTimes>("bench", "load", "--recipe", recipe);
        // What neither the process itself nor the steps account for: the system's work before the process's first line.
        return times with { Parts = [new StartPart("process and runtime", Math.Max(0, whole - times.InProcessSeconds)), .. times.Parts] };
    }

    private static void Show(StartTimes times, string shape, LoadInput input)
    {
        var table = new Table().AddColumn($"lowrank train, {shape}, {input.Rows} rows of {input.Length} tokens").AddColumn("s");
        foreach (StartPart part in times.Parts) table.AddRow(part.Name, $"{part.Seconds:0.000}");
        table.AddRow("a later step", $"{times.StepSeconds:0.000}");
        table.AddRow("to the end of the first step, beyond a step", $"{times.BeyondStep:0.000}");
        AnsiConsole.Write(table);
    }
}
