using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using LowRank.Kernels;
using TorchSharp;

#pragma warning disable CA1050, MA0047 // The host looks for a type of exactly this name, without a namespace.
/// <summary>
/// Runs inside a program before its own code (DOTNET_STARTUP_HOOKS), with that program's files and settings: shows
/// whether torch loads there, or what a command loaded, whatever commands the program has.
/// </summary>
internal static class StartupHook
{
    /// <summary>The environment variable that says what is shown: <c>torch</c>, <c>torch first</c> (before anything of
    /// the library), or a file that receives the libraries and assemblies that are loaded at the end, one per
    /// line.</summary>
    public const string Variable = "LOWRANK_TEST_HOOK";

    /// <summary>Does what the variable says.</summary>
    public static void Initialize()
    {
        string asked = Environment.GetEnvironmentVariable(Variable)!;
        if (asked is "torch" or "torch first") ShowTorch(asked == "torch first");
        else AppDomain.CurrentDomain.ProcessExit += (_, _) => File.WriteAllLines(asked, Loaded());
    }

    // The sum of a tensor of ones, and where libtorch came from.
    [MethodImpl(MethodImplOptions.NoInlining)] // other programs have no torch
    private static void ShowTorch(bool first)
    {
        // What a program's own code does when it names one of the library's types, and calls nothing.
        if (first) RuntimeHelpers.RunModuleConstructor(typeof(Devices).Module.ModuleHandle);
        using torch.Tensor ones = first ? torch.ones(2, 3) : torch.ones(2, 3, device: Devices.Parse("cpu"));
        string library = OperatingSystem.IsLinux()
            ? File.ReadLines("/proc/self/maps")
            .First(line => line.EndsWith("libtorch_cpu.so", StringComparison.Ordinal))
            : "";
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{ones.sum().item<float>()}"));
        Console.WriteLine(library[(library.IndexOf('/') is var at and >= 0 ? at : 0)..]);
        Environment.Exit(0);
    }

    private static IEnumerable<string> Loaded()
    {
        using var process = Process.GetCurrentProcess();
        return [.. process.Modules.Cast<ProcessModule>().Select(module => module.ModuleName),
            .. AppDomain.CurrentDomain.GetAssemblies().Select(assembly => assembly.GetName().Name!)];
    }
}
#pragma warning restore CA1050, MA0047
