using System.Diagnostics;

namespace LowRank.Cli.Common;

/// <summary>A process that has run to its end.</summary>
/// <param name="ExitCode">Its exit code.</param>
/// <param name="Output">What it wrote to standard output.</param>
/// <param name="Errors">What it wrote to standard error; empty where that was not redirected.</param>
public sealed record FinishedProcess(int ExitCode, string Output, string Errors)
{
    /// <summary>Runs a process to its end.</summary>
    /// <param name="start">How to start it; its output is redirected.</param>
    /// <exception cref="InvalidOperationException">It did not start.</exception>
    /// <exception cref="System.ComponentModel.Win32Exception">There is no such program.</exception>
    public static FinishedProcess Run(ProcessStartInfo start)
    {
        (start.UseShellExecute, start.RedirectStandardOutput) = (false, true);
        using Process process = Process.Start(start)
            ?? throw new InvalidOperationException($"{start.FileName} did not start.");
        // Read beside the output: a full pipe would stop the process.
        Task<string> errors = start.RedirectStandardError ? process.StandardError.ReadToEndAsync()
            : Task.FromResult("");
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return new FinishedProcess(process.ExitCode, output, errors.GetAwaiter().GetResult());
    }
}
