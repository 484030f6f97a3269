using System.Runtime.InteropServices;

namespace LowRank.Tensors.Native;

/// <summary>What the C library can do with pages of memory.</summary>
internal static class NativePages
{
    private const int DontNeed = 4; // MADV_DONTNEED on Linux

    private static readonly Advise? Call = Find();

    /// <summary>Takes whole pages out of the process; those of a private mapping of a file are read anew when they are touched.</summary>
    /// <remarks>The mapping begins on a page, and so must the address. Does nothing outside Linux.</remarks>
    public static void Release(nint address, nuint bytes) => Call?.Invoke(address, bytes, DontNeed);

    private static Advise? Find() => OperatingSystem.IsLinux() && NativeLibrary.TryLoad("libc.so.6", out nint library)
        && NativeLibrary.TryGetExport(library, "madvise", out nint address) ? Marshal.GetDelegateForFunctionPointer<Advise>(address) : null;

    private delegate int Advise(nint address, nuint bytes, int advice);
}
