using System.Diagnostics;
using LowRank.Cli.Commands;

namespace LowRank.Cli.Sweep;

/// <summary>A run of a sweep, as a process of its own: memory that it took goes back to the system, and a run that fails takes no other with it. Its standard input stays open
/// as long as this process lives: a sweep that is killed leaves no runs behind.</summary>
internal static class SweepProcess
{
    /// <summary>Trains to the end; what the process says goes into a file beside its folder.</summary>
    /// <param name="recipe">The recipe.</param>
    /// <param name="run">What is changed in it.</param>
    /// <param name="threads">Threads of the process; null leaves what the recipe says.</param>
    /// <param name="stop">Asks the process to finish its step and save.</param>
    /// <returns>Its exit code.</returns>
    public static int Train(string recipe, SweepRun run, int? threads, CancellationToken stop)
    {
        string program = Environment.ProcessPath ?? throw new InvalidOperationException("The program's own path is not known.");
        var start = new ProcessStartInfo(program) { UseShellExecute = false, RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        if (Path.GetFileNameWithoutExtension(program) == "dotnet") start.ArgumentList.Add(typeof(SweepProcess).Assembly.Location);
        foreach (string argument in Arguments(recipe, run, threads)) start.ArgumentList.Add(argument);
        using var log = new StreamWriter(run.Folder + ".log", append: false) { AutoFlush = true };
        void Keep(string? line)
        {
            if (line is null) return;
            lock (log) log.WriteLine(line);
        }
        using Process process = Process.Start(start) ?? throw new InvalidOperationException($"{program} did not start.");
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
        IEnumerable<string> changes = threads is { } count ? run.Overrides.Append($"training.threads={count}") : run.Overrides;
        foreach (string change in changes)
        {
            yield return "--set";
            yield return change;
        }
        string checkpoints = Path.Combine(run.Folder, "checkpoints");
        if (run.Resumes && run.IsBegun && Directory.Exists(checkpoints) && Directory.EnumerateDirectories(checkpoints, "step-*").Any()) yield return "--resume";
    }

    private static void Ask(Process process)
    {
        if (OperatingSystem.IsWindows()) process.Kill();
        else Termination.Ask(process.Id);
    }
}
