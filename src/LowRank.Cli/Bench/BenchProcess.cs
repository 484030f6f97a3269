using System.Diagnostics;
using System.Text.Json;

namespace LowRank.Cli.Bench;

/// <summary>A benchmark's part in a process of its own: where the start or the peak of memory is measured, which are the process's.</summary>
internal static class BenchProcess
{
    /// <summary>Runs this program to its end and reads the object that it prints as its last line.</summary>
    /// <param name="arguments">Its arguments, from <c>bench</c> on.</param>
    /// <returns>What it printed, and the seconds from before the process began to its end.</returns>
    /// <exception cref="InvalidOperationException">It did not start, or failed.</exception>
    public static (T Found, double Seconds) Run<T>(params string[] arguments)
    {
        string program = Environment.ProcessPath ?? throw new InvalidOperationException("The path of this program is not known.");
        string[] own = Path.GetFileNameWithoutExtension(program) == "dotnet" ? [typeof(BenchProcess).Assembly.Location] : [];
        long started = Stopwatch.GetTimestamp();
        using Process process = Process.Start(new ProcessStartInfo(program, [.. own, .. arguments]) { RedirectStandardOutput = true, UseShellExecute = false })
            ?? throw new InvalidOperationException($"{program} did not start.");
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        double seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        if (process.ExitCode != 0) throw new InvalidOperationException($"The measured run ended with code {process.ExitCode}: {output}");
        return (JsonSerializer.Deserialize<T>(output.Split('\n', StringSplitOptions.RemoveEmptyEntries)[^1])!, seconds);
    }
}
