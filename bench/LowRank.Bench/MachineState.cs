using System.Globalization;
using LowRank.Cli.Bench;
using LowRank.Pages;

namespace LowRank.Bench;

/// <summary>How busy the machine is, and which vectors it computes with.</summary>
internal static class MachineState
{
    private const string Source = "/proc/stat";
    private const double Busy = 0.1; // share of all cores

    /// <summary>The share of all cores that was in use during one second; null if the system does not report
    /// it.</summary>
    public static double? Used()
    {
        if (!File.Exists(Source)) return null;
        (long idle, long all) = Ticks(File.ReadLines(Source).First());
        Thread.Sleep(1000);
        (long idleThen, long allThen) = Ticks(File.ReadLines(Source).First());
        return allThen == all ? 0 : 1 - (double)(idleThen - idle) / (allThen - all);
    }

    /// <summary>Idle ticks and all ticks, from the first line of <c>/proc/stat</c>: user, nice, system, idle, iowait,
    /// irq, softirq, steal.</summary>
    public static (long Idle, long All) Ticks(string line)
    {
        long[] ticks =
            [.. line.Split(' ', StringSplitOptions.RemoveEmptyEntries).Skip(1).Take(8)
            .Select(number => long.Parse(number, CultureInfo.InvariantCulture))];
        return (ticks[3] + ticks[4], ticks.Sum());
    }

    /// <summary>What a share of busy cores means for a measurement that starts now.</summary>
    public static string Describe(double? used) => used switch
    {
        null => "Whether the machine is idle cannot be seen on this system.",
        > Busy => string.Create(
            CultureInfo.InvariantCulture,
            $"The machine is busy: {used:0%} of its cores were used in the last second. Times will be long and " +
            $"ratios rough."),
        _ => string.Create(
            CultureInfo.InvariantCulture, $"The machine is idle: {used:0%} of its cores were used in the last second."),
    };

    /// <summary>The machine and its vectors, in one line.</summary>
    public static string Describe() => $"{Machine.Describe()}, vectors: {Machine.Vectors()}, commit {Machine.Commit()}";

    /// <summary>Refuses to measure if the environment limits all measurements to narrower vectors, as a
    /// <see cref="VectorLimit"/> limits some.</summary>
    /// <param name="variable">Returns the value of an environment variable.</param>
    /// <exception cref="InputException">A variable of a limit is set.</exception>
    public static void CheckEnvironment(Func<string, string?> variable)
    {
        string[] set =
            [.. VectorLimit.All.SelectMany(limit => limit.Environment.Keys).Distinct()
            .Where(name => variable(name) is { Length: > 0 })];
        if (set.Length > 0)
            throw new InputException(
                $"{string.Join(", ", set)} stand in the environment, so that every measurement would be with other " +
                $"vectors than its file says. Unset them; --on {VectorLimit.Avx2.Name} sets them where they belong.");
    }
}
