using System.Diagnostics;

namespace LowRank.Kernels;

/// <summary>The memory of this process.</summary>
public static class ProcessMemory
{
    private const string ResetPeakOnly = "5"; // proc(5), /proc/PID/clear_refs: sets VmHWM back to the present size

    /// <summary>The largest resident size so far, in bytes: VmHWM on Linux, the peak working set elsewhere.</summary>
    public static long PeakBytes() => Status("VmHWM:") ?? OfProcess(process => process.PeakWorkingSet64);

    /// <summary>The resident size now, in bytes.</summary>
    public static long ResidentBytes() => Status("VmRSS:") ?? OfProcess(process => process.WorkingSet64);

    /// <summary>Lets the peak begin anew at the present size.</summary>
    /// <returns>False where the system cannot: the peak then stays that of the whole process.</returns>
    public static bool ResetPeak()
    {
        if (!OperatingSystem.IsLinux()) return false;
        try
        {
            File.WriteAllText("/proc/self/clear_refs", ResetPeakOnly);
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false; // a sandbox may forbid it, which the caller hears
        }
    }

    /// <summary>Memory that could be taken now without swapping, in bytes; null where the system does not
    /// say.</summary>
    public static long? AvailableBytes()
    {
        if (!OperatingSystem.IsLinux()) return GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        return Find("/proc/meminfo", "MemAvailable:");
    }

    private static long? Status(string name) => OperatingSystem.IsLinux() ? Find("/proc/self/status", name) : null;

    private static long? Find(string file, string name)
    {
        foreach (string line in File.ReadLines(file))
            if (line.StartsWith(name, StringComparison.Ordinal))
                return long.Parse(line.AsSpan(name.Length).Trim().ToString().Split(' ')[0]) * 1024;
        return null;
    }

    private static long OfProcess(Func<Process, long> read)
    {
        using Process process = Process.GetCurrentProcess();
        return read(process);
    }
}
