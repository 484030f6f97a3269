using System.Diagnostics;
using System.Runtime.InteropServices;

namespace LowRank.Testing;

/// <summary>Has threads of libtorch and of the kernels sleep while they wait for each other. By default they spin for
/// milliseconds, which takes the processors from the tests that run at the same time.</summary>
public static partial class QuietThreads
{
    private const string Variable = "OMP_WAIT_POLICY", Sleeping = "passive";

    /// <summary>In this process; before torch is loaded, since OpenMP reads the environment once. Only on Linux, whose
    /// libtorch uses GNU's OpenMP.</summary>
    public static void Begin()
    {
        // What .NET sets is a copy of its own.
        if (OperatingSystem.IsLinux()) _ = SetEnvironment(Variable, Sleeping, overwrite: 0);
    }

    /// <summary>In a process that is to be started.</summary>
    public static void Apply(ProcessStartInfo start) => start.Environment.TryAdd(Variable, Sleeping);

    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetEnvironment(string name, string value, int overwrite);
}
