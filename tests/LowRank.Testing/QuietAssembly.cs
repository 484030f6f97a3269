using System.Runtime.CompilerServices;

namespace LowRank.Testing;

/// <summary>A test assembly whose threads leave the processors to others while they wait.</summary>
internal static class QuietAssembly
{
    [ModuleInitializer]
    internal static void Begin() => QuietThreads.Begin();
}
