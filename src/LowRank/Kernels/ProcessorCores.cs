using System.Globalization;

namespace LowRank.Kernels;

/// <summary>The processor's cores.</summary>
public static class ProcessorCores
{
    /// <summary>Number of threads to compute with: what the environment variable OMP_NUM_THREADS says, as in torch, and
    /// else the physical cores.</summary>
    public static int Usable() => Usable(Environment.GetEnvironmentVariable("OMP_NUM_THREADS"));

    // OpenMP takes a number for each level of nesting.
    internal static int Usable(string? said) =>
        int.TryParse(said?.Split(',')[0], NumberStyles.AllowLeadingWhite | NumberStyles.AllowTrailingWhite,
            CultureInfo.InvariantCulture, out int threads) && threads > 0 ? threads : Physical();

    // Limited to those that this process may use: matrix products gain nothing from a core's second thread. Read from
    // /proc/cpuinfo on Linux; elsewhere the number of logical processors.
    private static int Physical()
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
