using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Loader;
using TorchSharp;

namespace LowRank.Kernels.Native;

/// <summary>Loads libtorch and TorchSharp's native library on the first use of torch, even if the system's C++ runtime
/// is older than that library requires.</summary>
/// <remarks>All code that opens a model or creates a tensor calls <see cref="Initialize"/>, which says what to add to
/// the project if libtorch is missing. A program that calls torch before it opens a model also works: the .NET runtime
/// asks here for libraries that it does not find. On Linux x64 libtorch is loaded by path. If the plain
/// <c>libLibTorchSharp.so</c> does not load (Debian 12, Ubuntu 22.04, RHEL 9), an in-memory copy is loaded whose one
/// too-new symbol version is weak (<see cref="ElfVersionPatch"/>); TorchSharp's own probing then finds a library of
/// that name already loaded. No file is written. A user may choose another libtorch
/// (<see cref="ChosenLibTorch"/>).</remarks>
internal static class NativeRuntime
{
    internal const string Library = "libLibTorchSharp.so";
    private const string TooNewVersion = "GLIBCXX_3.4.32";
    private static readonly Lock Gate = new();
    private static volatile bool isLoaded;
    private static nint? openMp;
    private static nint shim;

    private static bool IsLinux =>
        OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture == Architecture.X64;

    private static string Platform =>
        (OperatingSystem.IsWindows() ? "win" : OperatingSystem.IsMacOS() ? "osx" : "linux")
        + (RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? "-arm64" : "-x64");

    /// <summary>Whether libtorch is loaded.</summary>
    internal static bool IsLoaded => isLoaded;

    /// <summary>GNU OpenMP, which runs libtorch's compute threads; null if libtorch uses another library.</summary>
    internal static nint? OpenMp
    {
        get
        {
            Initialize();
            return openMp;
        }
    }

    /// <summary>Loads the native libraries; further calls do nothing.</summary>
    /// <exception cref="DllNotFoundException">libtorch for this platform is missing or cannot be loaded; the message
    /// says which file was searched for where, and what to add to the project.</exception>
    /// <exception cref="InputException">The libtorch that the user chose cannot be used.</exception>
    public static void Initialize()
    {
        if (isLoaded) return;
        lock (Gate)
        {
            if (isLoaded) return;
            if (ChosenLibTorch.Folder is { } chosen)
                (shim, openMp) = ChosenLibTorch.Load(
                    chosen, IsLinux, FindFile("libtorch_cpu.so") ?? FindFile(Library));
            else if (IsLinux) LoadOnLinux();
            else if (NativeLibrary.TryLoad("torch_cpu", typeof(torch).Assembly, null, out _))
                torch.InitializeDeviceType(DeviceType.CPU);
            else throw Missing(OperatingSystem.IsWindows() ? "torch_cpu.dll"
                : OperatingSystem.IsMacOS() ? "libtorch_cpu.dylib" : "libtorch_cpu.so");
            NativeAllocator.Apply();
            isLoaded = true;
        }
    }

#pragma warning disable CA2255 // Whoever calls torch first, this must be known by then; nothing is loaded here.
    [ModuleInitializer]
    internal static void InitializeModule()
    {
        if (AssemblyLoadContext.GetLoadContext(typeof(NativeRuntime).Assembly) is { } context)
            context.ResolvingUnmanagedDll += Resolve;
    }
#pragma warning restore CA2255

    private static nint Resolve(Assembly assembly, string name)
    {
        if (name != "LibTorchSharp" || !IsLinux) return 0;
        Initialize();
        return shim;
    }

    private static DllNotFoundException Missing(string file) =>
        new(MissingMessage(file, CandidateFolders(), Platform));

    /// <summary>What to say if libtorch is missing: NuGet has its builds for CUDA for two platforms only.</summary>
    /// <param name="file">The file that was searched for.</param>
    /// <param name="folders">The folders that were searched.</param>
    /// <param name="platform">The machine's platform in NuGet's words, such as linux-x64.</param>
    internal static string MissingMessage(string file, IEnumerable<string> folders, string platform) =>
        $"libtorch, which computes with tensors, was not found: looked for {file} in {string.Join(", ", folders)}. " +
        "Add it to the program's project with 'dotnet add package LowRank.Cpu'" +
        (platform is "linux-x64" or "win-x64"
            ? ", or for an NVIDIA GPU with " +
            $"'dotnet add package libtorch-cuda-12.8-{platform} --version {LibTorchVersion}'." : ".");

    /// <summary>The version of libtorch that TorchSharp is built for; written at build time.</summary>
    internal static string LibTorchVersion => typeof(NativeRuntime).Assembly
        .GetCustomAttributes<AssemblyMetadataAttribute>().Single(entry => entry.Key == nameof(LibTorchVersion)).Value!;

    private static void LoadOnLinux()
    {
        string folder = FindFolder() ?? throw Missing("libtorch_cpu.so");
        foreach (string dependency in Dependencies(folder))
        {
            nint library = NativeLibrary.Load(dependency);
            if (Path.GetFileName(dependency).StartsWith("libgomp", StringComparison.Ordinal)) openMp = library;
        }
        string file = FindFile(Library) ?? throw new DllNotFoundException(
            $"{Library} was not found in {string.Join(", ", CandidateFolders())}. " +
            "It comes with the package TorchSharp.");
        if (!NativeLibrary.TryLoad(file, out shim)) shim = LoadPatched(file);
    }

    private static IEnumerable<string> Dependencies(string folder)
    {
        // In dependency order: each finds the earlier ones by soname.
        foreach (string gomp in Directory.GetFiles(folder, "libgomp*.so*")) yield return gomp;
        foreach (
            string name in new[] { "libc10.so", "libtorch_cpu.so", "libc10_cuda.so", "libtorch_cuda.so",
            "libtorch.so" })
        {
            string path = Path.Combine(folder, name);
            if (File.Exists(path)) yield return path;
        }
    }

    private static nint LoadPatched(string library)
    {
        byte[] image = File.ReadAllBytes(library);
        // Not the failure that this class handles: load again to get the linker's own message.
        if (!ElfVersionPatch.MarkWeak(image, TooNewVersion)) return NativeLibrary.Load(library);
        int descriptor = MemoryFile(Library, 0);
        if (descriptor >= 0)
        {
            using var file = new Microsoft.Win32.SafeHandles.SafeFileHandle(descriptor, ownsHandle: true);
            RandomAccess.Write(file, image, 0);
            return NativeLibrary.Load($"/proc/self/fd/{descriptor}");
        }
        // For kernels without memfd_create (before 3.17) or where it is forbidden: a private folder, removed once
        // mapped.
        DirectoryInfo temporary = Directory.CreateTempSubdirectory("lowrank-");
        try
        {
            string copy = Path.Combine(temporary.FullName, Library);
            File.WriteAllBytes(copy, image);
            return NativeLibrary.Load(copy);
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
            yield return Path.Combine(root, "runtimes", Platform, "native");
            yield return root;
        }
        // Single-file and tool layouts provide their own search path for native libraries.
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
    /// <summary>A function by name; null outside Linux with glibc, or if the library does not have it.</summary>
    /// <param name="name">Its exported name.</param>
    /// <typeparam name="T">Its signature.</typeparam>
    public static T? Find<T>(string name) where T : Delegate =>
        OperatingSystem.IsLinux() && NativeLibrary.TryLoad("libc.so.6", out nint library)
        && NativeLibrary.TryGetExport(library, name, out nint address)
        ? Marshal.GetDelegateForFunctionPointer<T>(address) : null;
}
