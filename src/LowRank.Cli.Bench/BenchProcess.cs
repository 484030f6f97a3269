using System.Diagnostics;
using System.Text.Json;
using LowRank.Cli.Common;

namespace LowRank.Cli.Bench;

/// <summary>Runs part of a benchmark in its own process, to measure start-up time or peak memory, which belong to a
/// process.</summary>
internal static class BenchProcess
{
    /// <summary>Runs this program to its end and reads the JSON object in its last line of output.</summary>
    /// <param name="arguments">The arguments, starting with <c>bench</c>.</param>
    /// <returns>The printed object, and the seconds from before the start of the process to its end.</returns>
    /// <exception cref="InputException">The process refused its input.</exception>
    /// <exception cref="InvalidOperationException">The process did not start, or failed.</exception>
    public static (T Found, double Seconds) Run<T>(params string[] arguments)
    {
        ProcessStartInfo start = ThisProgram.Start(arguments);
        long started = Stopwatch.GetTimestamp();
        (int exitCode, string output, _) = FinishedProcess.Run(start);
        double seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        if (exitCode == ExitCodes.BadInput)
            throw new InputException("The measured run refused its input; the reason is in the lines above.");
        if (exitCode != 0)
            throw new InvalidOperationException($"The measured run ended with code {exitCode}: {output}");
        return (JsonSerializer.Deserialize<T>(output.Split('\n', StringSplitOptions.RemoveEmptyEntries)[^1])!, seconds);
    }
}
