using System.Reflection;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Cli.Bench;

/// <summary>Describes the machine and the build that were measured.</summary>
internal static class Machine
{
    private const string Processor = "/proc/cpuinfo";
    private const string Drivers = "/proc/driver/nvidia/gpus";

    /// <summary>Processor, cores, memory, NVIDIA GPUs, operating system and .NET version, in one line.</summary>
    public static string Describe()
    {
        string processor = !File.Exists(Processor) ? "processor of unknown make" : File.ReadLines(Processor)
            .FirstOrDefault(line => line.StartsWith("model name", StringComparison.Ordinal))?.Split(':', 2)[1].Trim()
            ?? "processor of unknown make";
        return $"{processor}, {Environment.ProcessorCount} cores, " +
            $"{GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 1e9:0} GB, " +
            $"{Gpus()}{RuntimeInformation.OSDescription}, .NET {Environment.Version}";
    }

    // NVIDIA's Linux driver lists the models; other vendors need a library for that.
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

    /// <summary>The widest vectors in use: "AVX-512", "AVX2", or their number of bits.</summary>
    public static string Vectors() => Avx512F.IsSupported ? "AVX-512" : Avx2.IsSupported ? "AVX2"
        : $"{(Vector256.IsHardwareAccelerated ? 256 : Vector128.IsHardwareAccelerated ? 128 : 0)} bits";

    /// <summary>The first ten digits of the commit that the program was built from; "unknown" outside a
    /// repository.</summary>
    public static string Commit()
    {
        string version =
            typeof(Machine).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion
            ?? "";
        return version.Split('+') is [_, { Length: >= 10 } commit] ? commit[..10] : "unknown";
    }
}

/// <summary>Work that a device does asynchronously.</summary>
internal static class DeviceWork
{
    /// <summary>Waits until the device has finished, so a measured time covers the work. Does nothing for the
    /// processor.</summary>
    public static void Finish(Device device)
    {
        if (device.type == DeviceType.CUDA) cuda.synchronize(device);
    }
}
