using System.Diagnostics;

namespace LowRank.Testing;

/// <summary>Waits for what a process does.</summary>
public static class Wait
{
    /// <summary>Until it has come to pass, fails when the process ends before, or has not done it after so long that it
    /// hangs.</summary>
    public static void For(Func<bool> condition, Process process)
    {
        for (long started = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(started) < CommandLine.Longest
            && !process.HasExited;)
        {
            if (condition()) return;
            Thread.Sleep(20);
        }
        Assert.Fail(
            "It did not come to pass; the process " +
            $"{(process.HasExited ? "ended:\n" + process.StandardError.ReadToEnd() : "still runs")}");
    }

    /// <summary>Until it has come to pass; fails when it has not after so long that it never will.</summary>
    public static async Task Until(Func<bool> condition)
    {
        for (long started = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(started) < CommandLine.Longest;)
        {
            if (condition()) return;
            await Task.Delay(20);
        }
        Assert.Fail("It did not come to pass.");
    }
}
