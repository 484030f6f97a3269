using System.Reflection;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Cli.Bench;

/// <summary>Says where numbers were measured, and of what.</summary>
internal static class Machine
{
    private const string Processor = "/proc/cpuinfo";
    private const string Drivers = "/proc/driver/nvidia/gpus";

    /// <summary>Processor, cores, memory, NVIDIA's GPUs, system and .NET, in a line.</summary>
    public static string Describe()
    {
        string processor = !File.Exists(Processor) ? "processor of unknown make" : File.ReadLines(Processor)
            .FirstOrDefault(line => line.StartsWith("model name", StringComparison.Ordinal))?.Split(':', 2)[1].Trim()
            ?? "processor of unknown make";
        return $"{processor}, {Environment.ProcessorCount} cores, " +
            $"{GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 1e9:0} GB, " +
            $"{Gpus()}{RuntimeInformation.OSDescription}, .NET {Environment.Version}";
    }

    // NVIDIA's driver for Linux tells their models; nobody else does without a library of theirs.
    private static string Gpus()
    {
        if (!Directory.Exists(Drivers)) return "";
        string[] models =
            [.. Directory.EnumerateDirectories(Drivers).Select(folder => Path.Combine(folder, "information"))
            .Where(File.Exists)
            .SelectMany(File.ReadLines).Where(line => line.StartsWith("Model:", StringComparison.Ordinal))
            .Select(line => line["Model:".Length..].Trim())];
        return string.Concat(models.GroupBy(model => model).Select(same => $"{same.Count()} {same.Key}, "));
    }

    /// <summary>The widest vectors that the program computes with: "AVX-512", "AVX2", or how many bits they
    /// have.</summary>
    public static string Vectors() => Avx512F.IsSupported ? "AVX-512" : Avx2.IsSupported ? "AVX2"
        : $"{(Vector256.IsHardwareAccelerated ? 256 : Vector128.IsHardwareAccelerated ? 128 : 0)} bits";

    /// <summary>The commit that the program was built from, its first ten digits; "unknown" outside a
    /// repository.</summary>
    public static string Commit()
    {
        string version =
            typeof(Machine).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion
            ?? "";
        return version.Split('+') is [_, { Length: >= 10 } commit] ? commit[..10] : "unknown";
    }
}

/// <summary>Work that a device does while the program goes on.</summary>
internal static class DeviceWork
{
    /// <summary>Waits until all of it is done, so that a time is that of the work. The processor's is done
    /// already.</summary>
    public static void Finish(Device device)
    {
        if (device.type == DeviceType.CUDA) cuda.synchronize(device);
    }
}
