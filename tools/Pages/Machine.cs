namespace LowRank.Pages;

/// <summary>Describes the machine on which numbers were measured.</summary>
internal static class Machine
{
    /// <summary>Processor, cores, memory, operating system and .NET version, in one line.</summary>
    public static string Describe()
    {
        const string Source = "/proc/cpuinfo";
        string processor = !File.Exists(Source) ? "processor of unknown make" : File.ReadLines(Source)
            .FirstOrDefault(line => line.StartsWith("model name", StringComparison.Ordinal))?.Split(':', 2)[1].Trim()
            ?? "processor of unknown make";
        double memory = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 1e9;
        return $"{processor}, {Environment.ProcessorCount} cores, {memory:0} GB, " +
            $"{System.Runtime.InteropServices.RuntimeInformation.OSDescription.Split('(')[0].Trim().Split('-')[0]}, " +
            $".NET {Environment.Version}, shared with other work";
    }
}
