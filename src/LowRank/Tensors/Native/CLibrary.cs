using System.Runtime.InteropServices;

namespace LowRank.Tensors.Native;

/// <summary>Functions of Linux's C library.</summary>
internal static class CLibrary
{
    /// <summary>A function by its name; null outside Linux with glibc, or where the library has none of it.</summary>
    /// <param name="name">As the library exports it.</param>
    /// <typeparam name="T">Its signature.</typeparam>
    public static T? Find<T>(string name) where T : Delegate => OperatingSystem.IsLinux() && NativeLibrary.TryLoad("libc.so.6", out nint library)
        && NativeLibrary.TryGetExport(library, name, out nint address) ? Marshal.GetDelegateForFunctionPointer<T>(address) : null;
}
