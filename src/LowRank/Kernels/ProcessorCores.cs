namespace LowRank.Kernels;

/// <summary>The processor's cores.</summary>
public static class ProcessorCores
{
    /// <summary>Number of physical cores, limited to those that this process may use: matrix products gain nothing from
    /// a core's second thread. Read from /proc/cpuinfo on Linux; elsewhere the number of logical processors.</summary>
    public static int Physical()
    {
        const string Source = "/proc/cpuinfo";
        if (!OperatingSystem.IsLinux() || !File.Exists(Source)) return Environment.ProcessorCount;
        var cores = new HashSet<(string Package, string Core)>();
        string package = "";
        foreach (string line in File.ReadLines(Source))
        {
            string value = line[(line.IndexOf(':', StringComparison.Ordinal) + 1)..].Trim();
            if (line.StartsWith("physical id", StringComparison.Ordinal)) package = value;
            if (line.StartsWith("core id", StringComparison.Ordinal)) cores.Add((package, value));
        }
        return cores.Count == 0 ? Environment.ProcessorCount : Math.Min(cores.Count, Environment.ProcessorCount);
    }
}
