using System.Runtime.InteropServices;
using System.Text.RegularExpressions;

namespace LowRank.IO;

/// <summary>Writes a file so that its name refers to either the old content or all of the new content, even if the
/// process is killed or the power fails. Follows links, preserves an existing file's mode, and writes directly into
/// devices and pipes.</summary>
public static partial class AtomicFile
{
    private const int ReadOnlyDirectory = 0;

    /// <summary>Writes to a temporary name in the same folder, flushes to disk, renames to <paramref name="path"/>, and
    /// flushes the folder. On failure the temporary file is removed and the old file stays.</summary>
    /// <param name="path">The file to write; its folder is created if missing.</param>
    /// <param name="write">Writes the content to an unbuffered stream.</param>
    /// <exception cref="InputException">The path is a folder, or a broken link.</exception>
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
                // The file is unlocked between here and its rename: a new timestamp keeps others from treating it as a
                // dead writer's leftover.
                File.SetLastWriteTimeUtc(stream.SafeFileHandle, DateTime.UtcNow);
            }
            // Closed first, because a reader of the new file would run into the writer's lock.
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

    /// <summary>Whether a path leads to a device, pipe or socket, which is written directly.</summary>
    public static bool WritesThrough(string path) => FileIdentity.From(path) is { IsPlain: false };

    /// <inheritdoc cref="OutputPath.RefuseInputs"/>
    public static void RefuseInputs(string option, string output, IEnumerable<string?> inputs) =>
        OutputPath.RefuseInputs(option, output, inputs);

    // The old file may be private, so nobody else can read the new one until it gets the old one's mode.
    private static FileStream Create(string path, bool isPrivate)
    {
        var options = new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.Write,
            Share = FileShare.None,
            BufferSize = 0,
        };
        if (isPrivate && !OperatingSystem.IsWindows())
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        return new FileStream(path, options);
    }

    /// <summary>Writes text as UTF-8 without a byte order mark.</summary>
    /// <inheritdoc cref="Write(string, Action{Stream})"/>
    public static void Write(string path, string text) =>
        Write(path, stream => stream.Write(new System.Text.UTF8Encoding(false).GetBytes(text)));

    // Removes leftovers of killed writers, which no longer hold their lock. Files younger than a minute may belong to a
    // writer that has just started.
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

    /// <summary>Appends bytes to an open file; on failure the file is truncated to its previous length.</summary>
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

    // A device cannot be truncated; the original error is the one to report.
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

    /// <summary>Makes renames and removals in a folder survive a power failure. Windows does this itself.</summary>
    internal static void FlushFolder(string folder)
    {
        if (OperatingSystem.IsWindows()) return;
        // .NET cannot open folders. If the file system cannot flush one, nothing more can be done, so the result is
        // ignored.
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
