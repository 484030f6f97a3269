using System.Globalization;
using LowRank.Kernels;
using TorchSharp;

#pragma warning disable CA1050, MA0047 // The host looks for a type of exactly this name, without a namespace.
/// <summary>
/// Runs inside the deployed program before its own code (DOTNET_STARTUP_HOOKS), with that program's files and settings:
/// shows whether torch loads there, whatever commands the program has.
/// </summary>
internal static class StartupHook
{
    /// <summary>Prints the sum of a tensor of ones and where libtorch came from, and ends the process.</summary>
    public static void Initialize()
    {
        using torch.Tensor ones = torch.ones(2, 3, device: Devices.Parse("cpu"));
        string library = OperatingSystem.IsLinux()
            ? File.ReadLines("/proc/self/maps")
            .First(line => line.EndsWith("libtorch_cpu.so", StringComparison.Ordinal))
            : "";
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{ones.sum().item<float>()}"));
        Console.WriteLine(library[(library.IndexOf('/') is var at and >= 0 ? at : 0)..]);
        Environment.Exit(0);
    }
}
#pragma warning restore CA1050, MA0047
