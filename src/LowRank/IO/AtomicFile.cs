using System.Runtime.InteropServices;
using System.Text.RegularExpressions;

namespace LowRank.IO;

/// <summary>Writes a file so that its name holds either the old content or the whole new one, also when the process is
/// killed or the power fails. Links are followed, an existing file keeps its mode, and devices and pipes are written
/// into.</summary>
public static partial class AtomicFile
{
    private const int ReadOnlyDirectory = 0;

    /// <summary>Writes to a temporary name in the same folder, flushes to the disk, renames over
    /// <paramref name="path"/>, and flushes the folder. On failure the temporary file is removed and the old file
    /// stays.</summary>
    /// <param name="path">The file to write; its folder is made if absent.</param>
    /// <param name="write">Writes the content to a stream without buffer.</param>
    /// <exception cref="InputException">The path is a folder, or a link that leads nowhere.</exception>
    /// <exception cref="IOException">The folder cannot be written, or the disk is full.</exception>
    public static void Write(string path, Action<Stream> write)
    {
        string full = OutputPath.Resolve(path);
        using (Stream? through = OutputPath.OpenThrough(full))
        {
            if (through is not null)
            {
                write(through);
                return;
            }
        }
        if (Directory.Exists(full))
            throw new InputException($"{path} is a folder; expected a file to write. Choose another output.");
        string folder = Path.GetDirectoryName(full)
            ?? throw new IOException($"{path} is the root of a file system, not a file.");
        Directory.CreateDirectory(folder);
        string temporary = Path.Combine(folder, $".{Path.GetFileName(full)}.{Guid.NewGuid():N}.tmp");
        try
        {
            using (FileStream stream = Create(temporary, File.Exists(full)))
            {
                write(stream);
                stream.Flush(flushToDisk: true);
                OutputPath.KeepAttributes(full, temporary);
                // Nobody holds it between here and its name: a new time keeps others from taking it for what a dead
                // writer left.
                File.SetLastWriteTimeUtc(stream.SafeFileHandle, DateTime.UtcNow);
            }
            // Closed first: a reader of the new file would meet the writer's lock.
            File.Move(temporary, full, overwrite: true);
        }
        catch
        {
            File.Delete(temporary);
            throw;
        }
        RemoveLeftovers(folder, Path.GetFileName(full));
        FlushFolder(folder);
    }

    // What replaces a file may be as private as that: until it gets the old file's mode nobody else reads it.
    private static FileStream Create(string path, bool isPrivate)
    {
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write,
            Share = FileShare.None, BufferSize = 0 };
        if (isPrivate && !OperatingSystem.IsWindows())
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        return new FileStream(path, options);
    }

    /// <summary>Writes text as UTF-8 without a byte order mark.</summary>
    /// <inheritdoc cref="Write(string, Action{Stream})"/>
    public static void Write(string path, string text) =>
        Write(path, stream => stream.Write(new System.Text.UTF8Encoding(false).GetBytes(text)));

    // What earlier writers of the file left that were killed: their lock is gone with them. A minute spares one that
    // has just begun.
    private static void RemoveLeftovers(string folder, string name)
    {
        string[] files;
        try
        {
            files = Directory.GetFiles(folder, ".*.tmp");
        }
        catch (UnauthorizedAccessException e)
        {
            System.Diagnostics.Trace.TraceWarning(e.Message); // a folder that may be written to but not listed
            return;
        }
        foreach (string left in files)
        {
            string found = Path.GetFileName(left);
            if (!found.StartsWith("." + name, StringComparison.Ordinal)
                || !Leftover().IsMatch(found[(name.Length + 1)..])
                || DateTime.UtcNow - File.GetLastWriteTimeUtc(left) < TimeSpan.FromMinutes(1)) continue;
            try
            {
                using var held = new FileStream(left, FileMode.Open, FileAccess.Write, FileShare.Delete);
                File.Delete(left);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                System.Diagnostics.Trace.TraceWarning(e.Message); // its writer lives, or it is another user's
            }
        }
    }

    [GeneratedRegex(@"\A\.[0-9a-f]{32}\.tmp\z")]
    private static partial Regex Leftover();

    /// <summary>Adds bytes at the end of an open file; where that fails the file is cut to what it was.</summary>
    internal static void Append(FileStream stream, ReadOnlySpan<byte> bytes)
    {
        long end = stream.Position;
        try
        {
            stream.Write(bytes);
        }
        catch (IOException)
        {
            Cut(stream, end);
            throw;
        }
    }

    // A device has no length to be cut to; the error that led here is the one to be heard of.
    private static void Cut(FileStream stream, long end)
    {
        try
        {
            stream.SetLength(end);
            stream.Position = end;
        }
        catch (IOException e)
        {
            System.Diagnostics.Trace.TraceWarning(e.Message);
        }
    }

    /// <summary>Makes renames and removals in a folder last through a loss of power. Windows does so by
    /// itself.</summary>
    internal static void FlushFolder(string folder)
    {
        if (OperatingSystem.IsWindows()) return;
        // .NET opens no folders. A file system that cannot flush one has done all it can: the result is not looked at.
        int descriptor = OpenFile(folder, ReadOnlyDirectory);
        if (descriptor < 0) return;
        _ = FlushFile(descriptor);
        _ = CloseFile(descriptor);
    }

    [DllImport("libc", EntryPoint = "open", CharSet = CharSet.Ansi, BestFitMapping = false,
        ThrowOnUnmappableChar = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int OpenFile([MarshalAs(UnmanagedType.LPUTF8Str)] string path, int flags);

    [DllImport("libc", EntryPoint = "fsync")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int FlushFile(int descriptor);

    [DllImport("libc", EntryPoint = "close")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int CloseFile(int descriptor);
}
