using System.Diagnostics;

namespace LowRank.EndToEndTests;

/// <summary>Waits for what a process does.</summary>
internal static class Wait
{
    /// <summary>Until it has come to pass, two minutes at most; fails when the process ends before.</summary>
    public static void For(Func<bool> condition, Process process)
    {
        for (int i = 0; i < 6000 && !process.HasExited; i++)
        {
            if (condition()) return;
            Thread.Sleep(20);
        }
        Assert.Fail($"It did not come to pass; the process {(process.HasExited ? "ended:\n" + process.StandardError.ReadToEnd() : "still runs")}");
    }
}
