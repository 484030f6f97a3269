using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;
using LowRank.Cli.Common;
using LowRank.Cli.Views;
using LowRank.Kernels;
using LowRank.Recipes.Runs;

namespace LowRank.Cli.Sweep;

/// <summary>Runs the unfinished runs of a sweep, one after another or in parallel.</summary>
/// <param name="recipe">The recipe.</param>
/// <param name="state">Records the results.</param>
/// <param name="parallel">Number of runs at a time.</param>
internal sealed class SweepRunner(string recipe, SweepState state, int parallel)
{
    private readonly Lock printing = new();

    /// <summary>Runs them all; prints a line for each run that ends.</summary>
    /// <param name="runs">All runs of the sweep.</param>
    /// <param name="stop">Stops the sweep: starts no more runs and lets the active ones finish their step and
    /// save.</param>
    public void Run(IReadOnlyList<SweepRun> runs, CancellationToken stop)
    {
        // Parallel runs share the cores, because too many threads that wait for each other's cores are slower than
        // fewer threads.
        int? threads = parallel > 1 ? Math.Max(1, ProcessorCores.Usable() / parallel) : null;
        var left = new Queue<SweepRun>(runs.Where(run => run.State != "finished"));
        var workers = Enumerable.Range(0, Math.Min(parallel, left.Count)).Select(_ => new Thread(Work)).ToList();
        Exception? failure = null;
        void Work()
        {
            try
            {
                while (!stop.IsCancellationRequested && Next(left) is { } run) Train(run, runs, threads, stop);
            }
            catch (Exception e)
                when (e is IOException or UnauthorizedAccessException or InvalidOperationException
                or System.ComponentModel.Win32Exception)
            {
                failure = e;
            }
        }
        foreach (Thread worker in workers) worker.Start();
        foreach (Thread worker in workers) worker.Join();
        if (failure is not null)
            throw new IOException($"The sweep stopped: {failure.Message} Run it again to continue.", failure);
    }

    private void Train(SweepRun run, IReadOnlyList<SweepRun> runs, int? threads, CancellationToken stop)
    {
        long started = Stopwatch.GetTimestamp();
        int exitCode = SweepProcess.Train(recipe, run, threads, stop);
        run.Seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        run.State = exitCode == ExitCodes.Success ? "finished" : stop.IsCancellationRequested ? "stopped" : "failed";
        state.Measure(run);
        state.Write(runs);
        string result = run.State == "failed" ? $"failed with exit code {exitCode}; see {run.Folder}.log"
            : FormattableString.Invariant(
                $"{run.State}, {(run.Best is { } best ? $"{best:g5} after step {run.BestStep}" : "nothing measured")}");
        lock (printing)
            Console.WriteLine(
                $"[{runs.Count(other => other.State != "pending")}/{runs.Count}] {run.Name}: {result} " +
                $"({Durations.Show(TimeSpan.FromSeconds(run.Seconds.Value))})");
    }

    private static SweepRun? Next(Queue<SweepRun> left)
    {
        lock (left) return left.TryDequeue(out SweepRun? run) ? run : null;
    }
}

/// <summary>A run of a sweep in its own process: its memory returns to the system, and a run that fails does not affect
/// the others. Its standard input stays open as long as this process lives, so a killed sweep leaves no runs
/// behind.</summary>
internal static class SweepProcess
{
    /// <summary>Trains to the end; the output of the process goes to a file beside its folder.</summary>
    /// <param name="recipe">The recipe.</param>
    /// <param name="run">The run, with its changes to the recipe.</param>
    /// <param name="threads">Threads of the process; null for the recipe's value.</param>
    /// <param name="stop">Asks the process to finish its step and save.</param>
    /// <returns>Its exit code.</returns>
    public static int Train(string recipe, SweepRun run, int? threads, CancellationToken stop)
    {
        ProcessStartInfo start = ThisProgram.Start(Arguments(recipe, run, threads));
        (start.RedirectStandardInput, start.RedirectStandardError) = (true, true);
        using var log = new StreamWriter(run.Folder + ".log", append: false) { AutoFlush = true };
        void Keep(string? line)
        {
            if (line is null) return;
            lock (log) log.WriteLine(line);
        }
        using Process process = Process.Start(start)
            ?? throw new InvalidOperationException($"{start.FileName} did not start.");
        process.OutputDataReceived += (_, said) => Keep(said.Data);
        process.ErrorDataReceived += (_, said) => Keep(said.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        using (stop.Register(() => Ask(process))) process.WaitForExit();
        return process.ExitCode;
    }

    private static IEnumerable<string> Arguments(string recipe, SweepRun run, int? threads)
    {
        yield return "train";
        yield return recipe;
        yield return "--supervised";
        IEnumerable<string> changes = threads is { } count ? run.Overrides.Append($"training.threads={count}")
            : run.Overrides;
        foreach (string change in changes)
        {
            yield return "--set";
            yield return change;
        }
        string checkpoints = Path.Combine(run.Folder, "checkpoints");
        if (run.Resumes && run.IsBegun && Directory.Exists(checkpoints)
            && Directory.EnumerateDirectories(checkpoints, "step-*").Any())
            yield return "--resume";
    }

    private static void Ask(Process process)
    {
        if (OperatingSystem.IsWindows()) process.Kill();
        else Termination.Ask(process.Id);
    }
}

/// <summary>A combination of a sweep and its result.</summary>
internal sealed record SweepRun
{
    /// <summary>The name of the run's folder.</summary>
    public required string Name { get; init; }

    /// <summary>The grid's values, in the order of its axes.</summary>
    public required IReadOnlyList<string> Values { get; init; }

    /// <summary>The changes to the recipe, in the form of <c>--set</c>.</summary>
    public required IReadOnlyList<string> Overrides { get; init; }

    /// <summary>The run's output folder.</summary>
    public required string Folder { get; init; }

    /// <summary>A hash of the run's whole recipe, which tells a continued sweep whether anything else has
    /// changed.</summary>
    public required string Settings { get; init; }

    /// <summary>Whether to resume from the newest checkpoint, if there is one, because the run was begun with the same
    /// settings.</summary>
    public bool Resumes { get; set; }

    /// <summary>pending, finished, stopped or failed.</summary>
    public string State { get; set; } = "pending";

    /// <summary>The best value of the metric; null without one.</summary>
    public double? Best { get; set; }

    /// <summary>The step of the best value.</summary>
    public long? BestStep { get; set; }

    /// <summary>Duration of the run's process in seconds; null if it was not run this time.</summary>
    public double? Seconds { get; set; }

    /// <summary>The metric by step.</summary>
    public IReadOnlyList<MetricPoint> Curve { get; set; } = [];

    /// <summary>Whether the run in the folder was begun with these settings.</summary>
    public bool IsBegun => Path.Combine(Folder, "recipe.yaml") is var path && File.Exists(path)
        && SettingsOf(SmallFile.ReadText(path)) == Settings;

    /// <summary>A hash of a recipe as a run writes it, without its threads, which the sweep sets.</summary>
    public static string SettingsOf(string yaml) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(
        string.Join('\n', yaml.Split('\n').Where(line => !line.StartsWith("  threads: ", StringComparison.Ordinal))))));
}
