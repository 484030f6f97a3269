using System.Runtime.InteropServices;

namespace LowRank.Kernels.Native;

/// <summary>A libtorch that the user has chosen: that of an installed PyTorch, for which <c>build/native-for-torch</c>
/// has built TorchSharp's native library.</summary>
/// <remarks>That library names the folder of its PyTorch, so loading it brings libtorch with all that it needs, such as
/// CUDA's libraries. TorchSharp looks in the program's folder first, and two libtorch in one process would register the
/// same things twice and end it: the program must have none of its own.</remarks>
internal static class ChosenLibTorch
{
    /// <summary>The environment variable: the folder that <c>build/native-for-torch</c> wrote.</summary>
    public const string Variable = "LOWRANK_LIBTORCH";

    /// <summary>The chosen folder; null if none is.</summary>
    public static string? Folder =>
        Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } folder ? folder : null;

    /// <summary>Loads the library of a folder, and libtorch with it.</summary>
    /// <param name="folder">The chosen folder.</param>
    /// <param name="isSupported">Whether the process runs on Linux x64.</param>
    /// <param name="own">A native library of the program itself; null if it has none.</param>
    /// <returns>The handle of the library, and of GNU OpenMP if libtorch uses it.</returns>
    /// <exception cref="InputException">It cannot be used; the message says why.</exception>
    public static (nint Library, nint? OpenMp) Load(string folder, bool isSupported, string? own)
    {
        if (!isSupported)
            throw new InputException(
                $"{Variable} is \"{folder}\", but another libtorch can be chosen on Linux x64 only.");
        string file = Path.GetFullPath(Path.Combine(folder, NativeRuntime.Library));
        if (!File.Exists(file))
            throw new InputException(
                $"{Variable} is \"{folder}\", but {file} does not exist. Build it with build/native-for-torch, which " +
                "prints the folder.");
        if (own is not null)
            throw new InputException(
                $"{Variable} is \"{folder}\", but the program has a libtorch of its own ({own}), and one process " +
                "cannot hold two. Build the program with -p:LibTorchFlavor=none.");
        try
        {
            nint library = NativeLibrary.Load(file);
            return (library, LoadedOpenMp());
        }
        catch (DllNotFoundException e)
        {
            throw new InputException(
                $"{Variable} is \"{folder}\", but {file} does not load: {e.Message.Trim().TrimEnd('.')}. If the " +
                "PyTorch that it was built for has changed, build it again with build/native-for-torch.", e);
        }
    }

    // The one that libtorch has brought: only its own runs the kernels' parts on libtorch's threads.
    private static nint? LoadedOpenMp() => OpenMpOf(File.ReadLines("/proc/self/maps")) is { } path
        ? NativeLibrary.Load(path) : null;

    /// <summary>The path of GNU OpenMP among the lines of /proc/self/maps; null if it is not loaded.</summary>
    internal static string? OpenMpOf(IEnumerable<string> maps) =>
        maps.Select(line => line.IndexOf('/', StringComparison.Ordinal) is var at and >= 0 ? line[at..] : "")
            .FirstOrDefault(path => Path.GetFileName(path).StartsWith("libgomp", StringComparison.Ordinal));
}
