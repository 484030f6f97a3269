using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace LowRank.IO;

/// <summary>Identifies the file that a path leads to, independent of its names: hard and symbolic links lead to the
/// same file. Read with Linux's statx; on other systems it is unknown, and paths are compared.</summary>
/// <param name="Device">The file system.</param>
/// <param name="Number">The file's inode number.</param>
/// <param name="Mode">Kind and permissions.</param>
/// <param name="Owner">The owner's id.</param>
/// <param name="Group">The group's id.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct FileIdentity(ulong Device, ulong Number, ushort Mode, uint Owner, uint Group)
{
    private const int WorkingFolder = -100, BasicFields = 0x7FF, StatxBytes = 256, Kinds = 0xF000, Regular = 0x8000,
        Folder = 0x4000;

    /// <summary>Whether it is not a device, pipe or socket.</summary>
    public bool IsPlain => (Mode & Kinds) is Regular or Folder;

    /// <summary>The identity of a path's target; null if it does not exist or the system does not support it.</summary>
    public static FileIdentity? From(string path)
    {
        if (!OperatingSystem.IsLinux()) return null;
        var fields = new byte[StatxBytes];
        try
        {
            if (Statx(WorkingFolder, path, 0, BasicFields, fields) != 0) return null;
        }
        catch (EntryPointNotFoundException)
        {
            return null; // a C library from before statx
        }
        ulong device = ((ulong)Number32(fields, 136) << 32) | Number32(fields, 140);
        return new FileIdentity(
            device, BinaryPrimitives.ReadUInt64LittleEndian(fields.AsSpan(32)),
            BinaryPrimitives.ReadUInt16LittleEndian(fields.AsSpan(28)),
            Number32(fields, 20), Number32(fields, 24));
    }

    /// <summary>Whether two paths lead to the same existing file or folder.</summary>
    public static bool AreSame(string first, string second)
    {
        if (!Path.Exists(first) || !Path.Exists(second)) return false;
        return From(first) is { } one && From(second) is { } other
            ? one.Device == other.Device && one.Number == other.Number
            : Plain(first) == Plain(second);
    }

    /// <summary>Gives a file or folder this file's owner, if the process may.</summary>
    // only root may; a refusal changes nothing
    public void GiveOwner(string path) => _ = ChangeOwner(path, Owner, Group);

    private static string Plain(string path)
    {
        string full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        return (Directory.Exists(full) ? Directory.ResolveLinkTarget(full, true)
            : File.ResolveLinkTarget(full, true))?.FullName ?? full;
    }

    private static uint Number32(byte[] fields, int at) => BinaryPrimitives.ReadUInt32LittleEndian(fields.AsSpan(at));

    [DllImport("libc", EntryPoint = "statx")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Statx(
        int folder, [MarshalAs(UnmanagedType.LPUTF8Str)] string path, int flags, uint fields, byte[] result);

    [DllImport("libc", EntryPoint = "chown")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int ChangeOwner([MarshalAs(UnmanagedType.LPUTF8Str)] string path, uint owner, uint group);
}

/// <summary>The kind of file at a path, determined without opening it, because opening a pipe waits for a
/// writer.</summary>
internal static class FileKind
{
    private const int TypeBits = 0xF000, Pipe = 0x1000, CharacterDevice = 0x2000, BlockDevice = 0x6000, Socket = 0xC000;

    /// <summary>Whether it is a pipe, which can be read only once.</summary>
    public static bool IsPipe(string path) => TypeOf(path) == Pipe;

    /// <summary>A description if it is not a file, folder or pipe; null if it is one of those or does not
    /// exist.</summary>
    public static string? Special(string path) =>
        TypeOf(path) switch { CharacterDevice or BlockDevice => "a device", Socket => "a socket", _ => null };

    // Only Linux has a structure that is the same on all processors; on other systems every path is treated as a file.
    private static int TypeOf(string path)
    {
        const int CurrentFolder = -100, TypeOnly = 1, Size = 256, ModeAt = 28;
        if (!OperatingSystem.IsLinux()) return 0;
        byte[] found = new byte[Size];
        return StatX(CurrentFolder, path, 0, TypeOnly, found) == 0
            ? BinaryPrimitives.ReadUInt16LittleEndian(found.AsSpan(ModeAt)) & TypeBits : 0;
    }

    [DllImport("libc", EntryPoint = "statx", CharSet = CharSet.Ansi, BestFitMapping = false,
        ThrowOnUnmappableChar = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int StatX(
        int folder, [MarshalAs(UnmanagedType.LPUTF8Str)] string path, int flags, uint mask, [Out] byte[] found);
}
