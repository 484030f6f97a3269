using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace LowRank.Tensors;

/// <summary>What stands at a path, without opening it: to open a pipe waits for whoever writes into it.</summary>
internal static class FileKind
{
    private const int TypeBits = 0xF000, Pipe = 0x1000, CharacterDevice = 0x2000, BlockDevice = 0x6000, Socket = 0xC000;

    /// <summary>Whether it is a pipe, which can be read once.</summary>
    public static bool IsPipe(string path) => TypeOf(path) == Pipe;

    /// <summary>What it is where it is neither file nor folder nor pipe, in words; null where it is one of those, or nothing is there.</summary>
    public static string? Special(string path) => TypeOf(path) switch { CharacterDevice or BlockDevice => "a device", Socket => "a socket", _ => null };

    // Linux alone tells by a structure that is the same on all processors; elsewhere a path is taken for a file.
    private static int TypeOf(string path)
    {
        const int CurrentFolder = -100, TypeOnly = 1, Size = 256, ModeAt = 28;
        if (!OperatingSystem.IsLinux()) return 0;
        byte[] found = new byte[Size];
        return StatX(CurrentFolder, path, 0, TypeOnly, found) == 0 ? BinaryPrimitives.ReadUInt16LittleEndian(found.AsSpan(ModeAt)) & TypeBits : 0;
    }

    [DllImport("libc", EntryPoint = "statx", CharSet = CharSet.Ansi, BestFitMapping = false, ThrowOnUnmappableChar = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int StatX(int folder, [MarshalAs(UnmanagedType.LPUTF8Str)] string path, int flags, uint mask, [Out] byte[] found);
}
