using System.Diagnostics;

namespace LowRank.Tensors;

/// <summary>The memory of this process.</summary>
public static class ProcessMemory
{
    /// <summary>The largest resident size so far, in bytes: VmHWM on Linux, the peak working set elsewhere.</summary>
    public static long PeakBytes()
    {
        if (OperatingSystem.IsLinux())
            foreach (string line in File.ReadLines("/proc/self/status"))
                if (line.StartsWith("VmHWM:", StringComparison.Ordinal))
                    return long.Parse(line.AsSpan(6).Trim().ToString().Split(' ')[0]) * 1024;
        using Process process = Process.GetCurrentProcess();
        return process.PeakWorkingSet64;
    }
}
