using System.CommandLine;
using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Cli.Bench;
using LowRank.Pages;

namespace LowRank.Bench;

/// <summary>The command line of bench/LowRank.Bench: chooses measurements, runs them and fills the page.</summary>
internal static class BenchCommandLine
{
    /// <summary>Runs the program.</summary>
    /// <returns>0, 1 where a measurement failed, 2 for bad usage or input.</returns>
    public static int Run(string[] arguments)
    {
        var names = new Argument<string[]>(
            "name") { Description = "Measurements, named as their files; all when left out.",
            Arity = ArgumentArity.ZeroOrMore };
        var list = new Option<bool>(
            "--list") { Description =
            "Say what there is, how long it takes and what is missing for it, and measure nothing." };
        var on = new Option<string?>(
            "--on") { Description =
            $"{BenchOptions.Native}: those with the processor's own vectors alone. " +
            $"{string.Join(", ", VectorLimit.All.Select(limit => limit.Name))}: those held to narrower ones." };
        var trial = new Option<bool>(
            "--trial") { Description =
            "Try whether all works, with small models and few rounds; the numbers say nothing. Needs --output." };
        var output = new Option<string?>(
            "--output") { Description =
            $"Write the files there; when left out, into the folder of the processor's kind, " +
            $"{PerformancePage.Folder}{Processor.ShortName()}, and the page is filled." };
        Option<string?>[] inputs =
            [.. MeasurementInput.All.Select(
                input => new Option<string?>(input.Option) { Description = $"Where it is: {input.Says}." })];
        var root = new RootCommand(
            $"Measures what {PerformancePage.Path} shows, writes it into {PerformancePage.Folder} and fills the " +
            "page. Let nothing else run.") { names, list, on, trial, output };
        foreach (Option<string?> input in inputs) root.Add(input);
        root.SetAction(parsed =>
        {
            var options = new BenchOptions
            {
                Names = parsed.GetValue(names) ?? [],
                On = parsed.GetValue(on),
                IsTrial = parsed.GetValue(trial),
                Output = parsed.GetValue(output) is { } folder ? Path.GetFullPath(folder) : null,
                Inputs = MeasurementInput.All.Zip(inputs, (input, option) => (input, Path: parsed.GetValue(option)))
                .Where(given => given.Path is not null)
                    .ToDictionary(given => given.input.Place, given => Full(given.input, given.Path!)),
            };
            try
            {
                return parsed.GetValue(list) ? List(options with { Output = options.Output ?? "" }) : Measure(options);
            }
            catch (InputException e)
            {
                Console.Error.WriteLine($"error: {e.Message}");
                return 2;
            }
        });
        return root.Parse(arguments).Invoke();
    }

    // Commands run in the repository's folder, so paths must be absolute. A program without a folder is found in PATH,
    // and a device is only a name.
    private static string Full(MeasurementInput input, string path) =>
        !input.IsFile && Path.GetFileName(path) == path ? path : Path.GetFullPath(path);

    private static int List(BenchOptions options)
    {
        options.Check();
        IReadOnlyList<PlannedMeasurement> chosen = PlannedMeasurement.Choose(options with { Names = [] });
        foreach (PlannedMeasurement planned in chosen.Where(
            planned => options.Names.Count == 0 || options.Names.Contains(planned.Measurement.Name)))
            Console.WriteLine(
                $"{planned.Measurement.Name,-24} {planned.Measurement.Seconds,4} s  " +
                $"{(planned.CanRun ? planned.Measurement.Command : planned.Lack)}");
        Console.WriteLine(
            $"{"all",-24} {chosen.Sum(planned => planned.Measurement.Seconds),4} s, roughly, on two cores");
        return 0;
    }

    private static int Measure(BenchOptions options)
    {
        options.Check();
        MachineState.CheckEnvironment(Environment.GetEnvironmentVariable);
        string repository = Pages.Repository.Find();
        string all = Path.Combine(repository, PerformancePage.Folder), own = Path.Combine(all, Processor.ShortName());
        IReadOnlyList<PlannedMeasurement> chosen = PlannedMeasurement.Choose(options);
        Console.WriteLine(MachineState.Describe());
        Console.WriteLine(MachineState.Describe(MachineState.Used()));
        var run = new MeasurementRun(repository, options);
        List<string> failed = [];
        foreach (PlannedMeasurement planned in chosen)
        {
            if (!planned.CanRun) Console.WriteLine($"Skipped: {planned.Lack}.");
            else if (!TryMeasure(
                run, planned.Measurement, options.Output ?? (planned.Measurement.NeedsGpu ? all : own),
                options.IsTrial))
                failed.Add(planned.Measurement.Name);
        }
        if (options.Output is null)
        {
            PerformancePage.Write(repository);
            Console.WriteLine($"{PerformancePage.Path} is filled.");
        }
        if (failed.Count > 0)
            Console.Error.WriteLine($"error: not measured: {string.Join(", ", failed)}; their files are as they were.");
        return failed.Count > 0 ? 1 : 0;
    }

    private static bool TryMeasure(MeasurementRun run, Measurement measurement, string folder, bool isTrial)
    {
        string duration = isTrial ? "" : $", about {measurement.Seconds} s",
            vectors = measurement.Limit is { } limit ? $", on {limit.Vectors}" : "";
        Console.WriteLine(measurement.Name + duration + vectors);
        long started = Stopwatch.GetTimestamp();
        try
        {
            JsonObject found = run.Measure(measurement);
            MeasurementRun.Write(folder, measurement.Name, found);
            Console.WriteLine(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"  measured in {Stopwatch.GetElapsedTime(started).TotalSeconds:0} s"));
            return true;
        }
        catch (Exception e) when (e is InvalidOperationException or Win32Exception or JsonException)
        {
            Console.Error.WriteLine($"  error: {e.Message}"); // the other measurements can still run
            return false;
        }
    }
}
