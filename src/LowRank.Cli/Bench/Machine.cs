using System.Reflection;
using System.Runtime.InteropServices;

namespace LowRank.Cli.Bench;

/// <summary>Says where numbers were measured, and of what.</summary>
internal static class Machine
{
    private const string Processor = "/proc/cpuinfo";

    /// <summary>Processor, cores, memory, system and .NET, in a line.</summary>
    public static string Describe()
    {
        string processor = !File.Exists(Processor) ? "processor of unknown make" : File.ReadLines(Processor)
            .FirstOrDefault(line => line.StartsWith("model name", StringComparison.Ordinal))?.Split(':', 2)[1].Trim() ?? "processor of unknown make";
        return $"{processor}, {Environment.ProcessorCount} cores, {GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 1e9:0} GB, {RuntimeInformation.OSDescription}, .NET {Environment.Version}";
    }

    /// <summary>The commit that the program was built from, its first ten digits; "unknown" outside a repository.</summary>
    public static string Commit()
    {
        string version = typeof(Machine).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "";
        return version.Split('+') is [_, { Length: >= 10 } commit] ? commit[..10] : "unknown";
    }
}
