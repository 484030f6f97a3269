using System.Diagnostics;
using System.Globalization;

namespace LowRank.SpeedTests;

/// <summary>How much of the machine's processors other programs, and other machines on the same host, use. Nothing
/// where the system does not say.</summary>
internal sealed class OtherWork
{
    private const string Source = "/proc/stat";
    private const double TicksPerSecond = 100; // proc(5): USER_HZ

    private readonly long started = Stopwatch.GetTimestamp();
    private readonly double begin = Busy();

    /// <summary>Whether the system tells.</summary>
    public static bool IsKnown => File.Exists(Source);

    /// <summary>Processors that they used on average since this was made.</summary>
    public double Used => (Busy() - begin) / Stopwatch.GetElapsedTime(started).TotalSeconds;

    // Seconds of all processors together, but for those of this process: user, nice, system, irq, softirq, steal.
    private static double Busy()
    {
        if (!IsKnown) return 0;
        string[] fields = File.ReadLines(Source).First().Split(' ', StringSplitOptions.RemoveEmptyEntries);
        double ticks = new[] { 1, 2, 3, 6, 7, 8 }.Sum(
            field => double.Parse(fields[field], CultureInfo.InvariantCulture));
        return ticks / TicksPerSecond - Environment.CpuUsage.TotalTime.TotalSeconds;
    }
}
