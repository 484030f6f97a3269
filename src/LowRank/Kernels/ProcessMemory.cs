using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace LowRank.Kernels;

/// <summary>The memory of this process.</summary>
internal static partial class ProcessMemory
{
    private const string ResetPeakOnly = "5"; // proc(5), /proc/PID/clear_refs: sets VmHWM back to the present size

    /// <summary>The peak resident size in bytes: VmHWM on Linux, the peak working set elsewhere.</summary>
    public static long PeakBytes() => Status("VmHWM:") ?? OfProcess(process => process.PeakWorkingSet64);

    /// <summary>The current resident size in bytes.</summary>
    public static long ResidentBytes() => Status("VmRSS:") ?? OfProcess(process => process.WorkingSet64);

    /// <summary>Resets the peak to the current size.</summary>
    /// <returns>False if the system does not support this: the peak then remains that of the whole process.</returns>
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

    /// <summary>Memory available without swapping, in bytes; null if the system does not report it.</summary>
    public static long? AvailableBytes()
    {
        if (!OperatingSystem.IsLinux()) return GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        return Find("/proc/meminfo", "MemAvailable:");
    }

    /// <summary>Gives freed memory back to the system, which glibc's allocator keeps between blocks that are in use;
    /// elsewhere the allocator decides.</summary>
    public static void ReturnFreed()
    {
        if (!OperatingSystem.IsLinux()) return;
        try
        {
            _ = TrimHeap(0);
        }
        catch (EntryPointNotFoundException)
        {
            // musl has no such function, and keeps less
        }
    }

    [LibraryImport("libc", EntryPoint = "malloc_trim")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int TrimHeap(nuint kept);

    private static long? Status(string name) => OperatingSystem.IsLinux() ? Find("/proc/self/status", name) : null;

    private static long? Find(string file, string name)
    {
        foreach (string line in File.ReadLines(file))
            if (line.StartsWith(name, StringComparison.Ordinal))
                return long.Parse(
                line.AsSpan(name.Length).Trim().ToString().Split(' ')[0], CultureInfo.InvariantCulture) * 1024;
        return null;
    }

    private static long OfProcess(Func<Process, long> read)
    {
        using Process process = Process.GetCurrentProcess();
        return read(process);
    }
}
