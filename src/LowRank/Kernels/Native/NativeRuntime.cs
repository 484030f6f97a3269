using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchSharp;

namespace LowRank.Kernels.Native;

/// <summary>Makes TorchSharp's native library loadable where the system's C++ runtime is older than it asks
/// for.</summary>
/// <remarks>
/// Runs once, before the first use of a type of this library, and acts on Linux x64 alone and only where the plain
/// library does not load (Debian 12, Ubuntu 22.04, RHEL 9). It loads libtorch by path, then a copy of
/// <c>libLibTorchSharp.so</c> held in memory whose one too-new symbol version is weak (<see cref="ElfVersionPatch"/>).
/// TorchSharp's own probing afterwards finds a library of that name loaded already. No file is written.
/// A program that touches <c>torch</c> before any type of LowRank calls <see cref="Initialize"/> first.
/// </remarks>
public static class NativeRuntime
{
    private const string Library = "libLibTorchSharp.so";
    private const string TooNewVersion = "GLIBCXX_3.4.32";
    private static readonly Lock Gate = new();
    private static bool initialized;

    /// <summary>GNU OpenMP, whose threads libtorch computes with; null where it uses another library.</summary>
    internal static nint? OpenMp { get; private set; }

    /// <summary>Prepares the native library; calling it again does nothing.</summary>
    /// <exception cref="DllNotFoundException">libtorch for this platform is not beside the program, or does not load;
    /// the message says which file was looked for where, and what to reference.</exception>
    public static void Initialize()
    {
        lock (Gate)
        {
            if (initialized) return;
            if (OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture == Architecture.X64) LoadOnLinux();
            initialized = true;
        }
    }

#pragma warning disable CA2255 // TorchSharp's static constructor runs on first use and cannot be hooked: this must come first.
    [ModuleInitializer]
    internal static void InitializeModule()
    {
        // A missing libtorch is reported when it is needed, by Initialize: commands that need no tensors work without.
        if (FindFolder() is not null) Initialize();
    }
#pragma warning restore CA2255

    private static void LoadOnLinux()
    {
        string folder = FindFolder() ?? throw new DllNotFoundException(
            $"libtorch was not found: looked for libtorch_cpu.so in {string.Join(", ", CandidateFolders())}. " +
            "Reference the package libtorch-cpu-linux-x64 2.10.0 (or libtorch-cuda-12.8-linux-x64) in the " +
                "program's project.");
        foreach (string file in Dependencies(folder))
        {
            nint library = NativeLibrary.Load(file);
            if (Path.GetFileName(file).StartsWith("libgomp", StringComparison.Ordinal)) OpenMp = library;
        }
        string shim = FindFile(Library) ?? throw new DllNotFoundException(
            $"{Library} was not found in {string.Join(", ", CandidateFolders())}. It comes with the package " +
                "TorchSharp 0.107.0.");
        if (NativeLibrary.TryLoad(shim, out _)) return;
        LoadPatched(shim);
    }

    private static IEnumerable<string> Dependencies(string folder)
    {
        // In the order of their dependencies: each finds the earlier ones by soname.
        foreach (string gomp in Directory.GetFiles(folder, "libgomp*.so*")) yield return gomp;
        foreach (
            string name in new[] { "libc10.so", "libtorch_cpu.so", "libc10_cuda.so", "libtorch_cuda.so",
            "libtorch.so" })
        {
            string path = Path.Combine(folder, name);
            if (File.Exists(path)) yield return path;
        }
    }

    private static void LoadPatched(string library)
    {
        byte[] image = File.ReadAllBytes(library);
        if (!ElfVersionPatch.MarkWeak(image, TooNewVersion))
        {
            // Not the failure this class knows: load once more for the linker's own message.
            NativeLibrary.Load(library);
            return;
        }
        int descriptor = MemoryFile(Library, 0);
        if (descriptor >= 0)
        {
            using var file = new Microsoft.Win32.SafeHandles.SafeFileHandle(descriptor, ownsHandle: true);
            RandomAccess.Write(file, image, 0);
            NativeLibrary.Load($"/proc/self/fd/{descriptor}");
            return;
        }
        // Kernels without memfd_create (before 3.17) or that forbid it: a private folder, removed once mapped.
        DirectoryInfo temporary = Directory.CreateTempSubdirectory("lowrank-");
        try
        {
            string copy = Path.Combine(temporary.FullName, Library);
            File.WriteAllBytes(copy, image);
            NativeLibrary.Load(copy);
        }
        finally
        {
            temporary.Delete(recursive: true);
        }
    }

    private static string? FindFolder() => Path.GetDirectoryName(FindFile("libtorch_cpu.so"));

    private static string? FindFile(string name) =>
        CandidateFolders().Select(folder => Path.Combine(folder, name)).FirstOrDefault(File.Exists);

    private static IEnumerable<string> CandidateFolders()
    {
        string managed = Path.GetDirectoryName(typeof(torch).GetTypeInfo().Assembly.Location) ?? "";
        foreach (string root in new[] { AppContext.BaseDirectory, managed }.Distinct())
        {
            if (root.Length == 0) continue;
            yield return Path.Combine(root, "runtimes", "linux-x64", "native");
            yield return root;
        }
        // Single-file and tool layouts publish the search path of native libraries themselves.
        if (AppContext.GetData("NATIVE_DLL_SEARCH_DIRECTORIES") is string folders)
            foreach (string folder in folders.Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries))
                yield return folder;
    }

    [DllImport("libc", EntryPoint = "memfd_create", SetLastError = true, CharSet = CharSet.Ansi, BestFitMapping = false,
        ThrowOnUnmappableChar = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int MemoryFile(string name, uint flags);
}

/// <summary>Functions of Linux's C library.</summary>
internal static class CLibrary
{
    /// <summary>A function by its name; null outside Linux with glibc, or where the library has none of it.</summary>
    /// <param name="name">As the library exports it.</param>
    /// <typeparam name="T">Its signature.</typeparam>
    public static T? Find<T>(string name) where T : Delegate =>
        OperatingSystem.IsLinux() && NativeLibrary.TryLoad("libc.so.6", out nint library)
        && NativeLibrary.TryGetExport(library, name, out nint address)
        ? Marshal.GetDelegateForFunctionPointer<T>(address) : null;
}
