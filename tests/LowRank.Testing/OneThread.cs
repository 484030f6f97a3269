using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace LowRank.Testing;

/// <summary>Tests that run side by side compute with one thread each, and so do the programs that they start: where
/// the processors are busy, threads that wait for each other take several times the time of the work. What holds for
/// any number of threads is tested with several.</summary>
internal static partial class OneThread
{
    private const string Variable = "OMP_NUM_THREADS";

#pragma warning disable CA2255 // libtorch reads the variable when it is loaded, which may be by any test.
    [ModuleInitializer]
    internal static void Set()
    {
        if (Environment.GetEnvironmentVariable(Variable) is not null) return;
        Environment.SetEnvironmentVariable(Variable, "1");
        if (!OperatingSystem.IsWindows()) _ = SetForNativeCode(Variable, "1", 1);
    }
#pragma warning restore CA2255

    // .NET keeps variables that are set to itself.
    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int SetForNativeCode(string name, string value, int overwrite);
}
