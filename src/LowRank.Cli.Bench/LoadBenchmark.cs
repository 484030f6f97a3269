using System.CommandLine;
using System.Diagnostics;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Cli.Common;
using LowRank.Models;
using LowRank.Recipes;
using LowRank.Tokenizers;
using LowRank.Training;
using Spectre.Console;

namespace LowRank.Cli.Bench;

/// <summary><c>lowrank bench load</c>: the time from the start of a training process to its first step, part by
/// part.</summary>
/// <remarks>Each round is a separate process, as a user would start it; from the second round on the files are in the
/// file system's cache.</remarks>
internal sealed class LoadBenchmark : IBenchmark
{
    private const string OwnRows = "has no effect with a recipe, which has rows of its own";

    public Command Build()
    {
        var shape = new Argument<string>("shape")
        {
            Description = $"A shape with random weights ({string.Join(", ", ModelShapes.Names)}), a model folder, or " +
                "a recipe.",
            DefaultValueFactory = _ => "gpt2-small",
        };
        var rows = new Option<int>("--rows")
        {
            Description = "Rows of training data.",
            DefaultValueFactory = _ => 1000,
        };
        var length = new Option<int>("--length") { Description = "Tokens per row.", DefaultValueFactory = _ => 64 };
        var rounds = new Option<int>("--rounds")
        {
            Description = "Number of processes; the fastest of each part counts.",
            DefaultValueFactory = _ => 3,
        };
        var json = new Option<bool>("--json") { Description = "Print JSON." };
        var recipe = new Option<string?>("--recipe")
        {
            Description = "Measure the start of this recipe's run in this process and print it as one line of JSON.",
            Hidden = true,
        };
        var output = new Option<string?>("--output")
        {
            Description = "The run's output folder, in place of the recipe's.",
            Hidden = true,
        };
        return new Command("load",
            "Measure the start of lowrank train, from the process to the first step, part by part.")
            { shape, rows, length, rounds, json, recipe, output }
            .Does(parsed => parsed.GetValue(recipe) is { } path ? StartedRun.Measure(path, parsed.GetValue(output))
                : Run(parsed.GetRequiredValue(shape), parsed.GetValue(rows), parsed.GetValue(length),
                parsed.GetValue(rounds), parsed.GetValue(json)),
                OptionUse.Unless(rows, parsed => IsRecipe(parsed.GetRequiredValue(shape)) ? OwnRows : null),
                OptionUse.Unless(length, parsed => IsRecipe(parsed.GetRequiredValue(shape)) ? OwnRows : null),
                OptionUse.Always(rounds, json, recipe, output));
    }

    private static bool IsRecipe(string shape) => shape.EndsWith(".yaml", StringComparison.OrdinalIgnoreCase);

    private static int Run(string shape, int rows, int length, int rounds, bool json)
    {
        if (rows < 8 || length < 8 || rounds < 1)
            throw new InputException(
                $"Found --rows {rows}, --length {length}, --rounds {rounds}; expected at least 8 rows of 8 tokens, " +
                "and one round.");
        string root = Directory.CreateTempSubdirectory("lowrank-load-").FullName;
        using BenchFolder? folder = IsRecipe(shape) ? null : BenchFolder.Open(shape);
        try
        {
            string recipe = folder is null ? shape : new LoadInput(folder.Path, root, rows, length).Recipe;
            StartTimes[] starts =
                [.. Enumerable.Range(0, rounds).Select(_ => Child(recipe, Path.Combine(root, "run")))];
            StartTimes fastest = StartTimes.Fastest(starts);
            if (json) MeasuredJson.Write(fastest);
            else Show(fastest, folder is null ? shape : $"{shape}, {rows} rows of {length} tokens");
            return ExitCodes.Success;
        }
        finally
        {
            Directory.Delete(root, recursive: true);
        }
    }

    private static StartTimes Child(string recipe, string output)
    {
        (StartTimes times, double whole) =
            BenchProcess.Run<StartTimes>("bench", "load", "--recipe", recipe, "--output", output);
        // The remaining time: the system's work before the program's first line.
        return times with { Parts = [
            new StartPart("process and runtime", Math.Max(0, whole - times.InProcessSeconds)), .. times.Parts] };
    }

    private static void Show(StartTimes times, string what)
    {
        Table table = new Table().AddColumn($"lowrank train, {what}").AddColumn("s");
        foreach (StartPart part in times.Parts) table.AddRow(part.Name, $"{part.Seconds:0.000}");
        table.AddRow("a later step", $"{times.StepSeconds:0.000}");
        table.AddRow("start to the end of the first step, minus one step", $"{times.BeyondStep:0.000}");
        AnsiConsole.Write(table);
    }
}

/// <summary>The input of a measured start: a model folder with a tokenizer, rows of text and a recipe.</summary>
internal sealed class LoadInput
{
    private const string End = "<|endoftext|>";

    /// <summary>Writes the data and the recipe, and a tokenizer if the folder has none.</summary>
    /// <param name="model">The model's folder.</param>
    /// <param name="root">An empty folder for the rest.</param>
    /// <param name="rows">Rows of data.</param>
    /// <param name="length">Tokens per row.</param>
    /// <param name="batch">Rows per step.</param>
    /// <param name="steps">Steps of the run.</param>
    /// <param name="threads">Number of compute threads; null for one per core.</param>
    public LoadInput(string model, string root, int rows, int length, int batch = 4, int steps = 4, int? threads = null)
    {
        (Rows, Length, Recipe) = (rows, length, Path.Combine(root, "recipe.yaml"));
        if (!Tokenizer.IsPresent(model))
            File.WriteAllText(
                Path.Combine(model, "tokenizer.json"),
                Words((int)ConfigReader.Open(Path.Combine(model, "config.json")).NumberOr("vocab_size", 0)));
        var random = new Random(1);
        using (var data = new StreamWriter(Path.Combine(root, "train.jsonl")))
            for (int row = 0; row < rows; row++)
                data.WriteLine(JsonSerializer.Serialize(new { text = Text(random, length) }));
        File.WriteAllText(Recipe, $"""
            model: {JsonSerializer.Serialize(model)}
            data:
              train: train.jsonl
              cache: false
            adapter:
              rank: 8
              alpha: 16
            training:
              steps: {steps}
              batch_size: {batch}
              max_length: {length}{(threads is null ? "" : $"\n  threads: {threads}")}
            output: run
            """);
    }

    /// <summary>The recipe's file.</summary>
    public string Recipe { get; }

    /// <summary>Rows of data.</summary>
    public int Rows { get; }

    /// <summary>Maximum tokens per row.</summary>
    public int Length { get; }

    // A byte-level vocabulary of the model's size: pairs of bytes, printable ones first, until it is full.
    private static string Words(int size)
    {
        JsonNode tokenizer = JsonNode.Parse(BytePairTrainer.Train([], 257, [End]))!;
        JsonObject vocabulary = tokenizer["model"]!["vocab"]!.AsObject();
        List<string> letters =
            [.. vocabulary.Select(word => word.Key).Where(word => word.Length == 1).OrderBy(letter => letter[0] > 'z')];
        JsonArray merges = tokenizer["model"]!["merges"]!.AsArray();
        foreach ((string first, string second) in letters.SelectMany(first => letters.Select(second => (first, second)))
            .Take(size - vocabulary.Count))
        {
            vocabulary.Add(first + second, vocabulary.Count);
            merges.Add($"{first} {second}");
        }
        return tokenizer.ToJsonString();
    }

    // Words of two to nine letters; a token covers at most two letters, so every row fills its length.
    private static string Text(Random random, int length)
    {
        var text = new StringBuilder();
        while (text.Length < 3 * length)
        {
            for (int letters = random.Next(2, 10); letters > 0; letters--) text.Append((char)random.Next('a', 'z' + 1));
            text.Append(' ');
        }
        return text.ToString();
    }
}

/// <summary>A part of a run's start.</summary>
/// <param name="Name">The work.</param>
/// <param name="Seconds">How long it takes.</param>
internal sealed record StartPart(string Name, double Seconds);

/// <summary>A run's start.</summary>
/// <param name="Parts">The parts in order, from the start of the process to the end of the first step.</param>
/// <param name="StepSeconds">The fastest of the steps after the first, on a batch of the same size.</param>
/// <param name="InProcessSeconds">From the program's first line to its last, including all steps and saving.</param>
internal sealed record StartTimes(IReadOnlyList<StartPart> Parts, double StepSeconds, double InProcessSeconds)
{
    /// <summary>From the start of the process to the end of the first step, minus one step.</summary>
    public double BeyondStep => Parts.Sum(part => part.Seconds) - StepSeconds;

    /// <summary>The fastest of each part.</summary>
    public static StartTimes Fastest(IReadOnlyList<StartTimes> starts) => new(
        [.. starts[0].Parts.Select((part, i) => part with { Seconds = starts.Min(start => start.Parts[i].Seconds) })],
        starts.Min(start => start.StepSeconds), starts.Min(start => start.InProcessSeconds));
}

/// <summary>Runs the start of a recipe in this process as <c>lowrank train</c> does, with timing.</summary>
internal sealed class StartedRun : ITrainingObserver, IDisposable
{
    private const int Steps = 4;
    private readonly List<(double At, TimeSpan Elapsed)> steps = [];
    private readonly CancellationTokenSource enough = new();
    private double started;

    /// <summary>Runs the recipe's first steps, without the measurement before them, and prints
    /// <see cref="StartTimes"/> as a line of JSON.</summary>
    /// <param name="path">The recipe.</param>
    /// <param name="output">The output folder; null for the recipe's.</param>
    public static int Measure(string path, string? output)
    {
        double begin = SinceStart();
        Recipe recipe = RecipeRun.Load(path, output is null ? [] : [$"output={output}"]);
        double loaded = SinceStart();
        using RecipeRun run = RecipeRun.Prepare(recipe);
        double prepared = SinceStart();
        using var observer = new StartedRun();
        run.Train(observer, cancellation: observer.enough.Token);
        if (observer.steps.Count < 2)
            throw new InputException(
                $"Found a run of {observer.steps.Count} step in {path}; expected at least two, because the start is " +
                "compared with a later step.");
        StartPart[] parts =
        [
            new("program", begin),
            new("recipe", loaded - begin),
            .. run.Stages.Select(stage => new StartPart(stage.Name, stage.Elapsed.TotalSeconds)),
            new("optimizer and output folder", observer.started - prepared),
            new("first step", observer.steps[0].At - observer.started),
        ];
        double later =
            observer.steps.Zip(observer.steps.Skip(1), (before, after) => (after.Elapsed - before.Elapsed).TotalSeconds)
            .Min();
        Console.WriteLine(JsonSerializer.Serialize(new StartTimes(parts, later, SinceStart()), JsonOutput.Compact));
        return ExitCodes.Success;
    }

    public void Started(TrainingPlan plan) => started = SinceStart();

    public void Stepped(TrainingStep step)
    {
        steps.Add((SinceStart(), step.Elapsed));
        if (steps.Count == Steps) enough.Cancel();
    }

    public void Evaluated(EvaluationResult evaluation)
    {
        // The start ends with the first steps.
    }

    public void Dispose() => enough.Dispose();

    public void Finished(TrainingResult result)
    {
        // The start ends with the first steps; ignore what follows.
    }

    private static double SinceStart()
    {
        using Process own = Process.GetCurrentProcess();
        return (DateTime.UtcNow - own.StartTime.ToUniversalTime()).TotalSeconds;
    }
}
