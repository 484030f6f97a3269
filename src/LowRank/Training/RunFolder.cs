using System.Text.Json;
using System.Text.RegularExpressions;
using LowRank.IO;

namespace LowRank.Training;

/// <summary>The output folder of a run, locked by one process until it ends in any way.</summary>
/// <remarks>The operating system holds the lock on the file <c>.run.lock</c> and releases it when the process ends, so
/// nothing has to be removed by hand after <c>kill -9</c> or a power failure. The file itself stays.</remarks>
public sealed partial class RunFolder : IDisposable
{
    /// <summary>The subfolder with the resumable states.</summary>
    internal const string Checkpoints = "checkpoints";

    /// <summary>The subfolder with the weights of the lowest held-out loss.</summary>
    internal const string Best = "best";

    private const string LockFile = ".run.lock";
    private const string OwnerFile = ".run.owner";
    private static readonly HashSet<string> Written = ["adapter", "model", Best];
    private readonly FileStream held;
    private readonly RunOwner owner;

    private bool isClaimed;

    private RunFolder(string path, FileStream held, RunOwner owner) =>
        (Path, this.held, this.owner) = (path, held, owner);

    /// <summary>Waits while the disk is full; null to fail instead.</summary>
    internal StorageWait? Waits { get; init; }

    /// <summary>The full path of the folder.</summary>
    public string Path { get; }

    /// <summary>Creates the folder if needed, locks it for this process, and removes files that a killed run left
    /// half-written.</summary>
    /// <exception cref="InputException">Another run writes to it.</exception>
    /// <exception cref="RunStorageException">The folder cannot be written to.</exception>
    public static RunFolder Take(string path)
    {
        RunFolder taken = Hold(path, waits: null);
        taken.Claim();
        return taken;
    }

    /// <summary>Like <see cref="Take"/>, but without recording the owner: <see cref="Claim"/> does that once it is
    /// certain that the run continues.</summary>
    /// <param name="path">The folder.</param>
    /// <param name="waits">Waits while the disk is full; null to fail instead.</param>
    internal static RunFolder Hold(string path, StorageWait? waits)
    {
        string full = System.IO.Path.TrimEndingDirectorySeparator(System.IO.Path.GetFullPath(path));
        try
        {
            Directory.CreateDirectory(full);
            FileStream held = Lock(full) ?? throw Taken(full);
            Recover(full);
            return new RunFolder(full, held, RunOwner.Current()) { Waits = waits };
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RunStorageException(
                $"{full} cannot be written to: {e.Message.TrimEnd('.')}. Choose another output, or check that the " +
                "disk is available and has space.", e);
        }
    }

    /// <summary>Records the owner of the folder, unless it is already recorded.</summary>
    /// <exception cref="RunStorageException">The folder cannot be written to.</exception>
    internal void Claim()
    {
        if (isClaimed) return;
        RunStorageException.Guard(
            System.IO.Path.Combine(Path, OwnerFile), () =>
            AtomicFile.Write(System.IO.Path.Combine(Path, OwnerFile), JsonSerializer.Serialize(owner)), Waits);
        isClaimed = true;
    }

    /// <summary>Removes files that a killed run left half-written, unless a run currently writes to the folder. A
    /// read-only folder is not changed.</summary>
    public static void Tidy(string path)
    {
        string full = System.IO.Path.GetFullPath(path);
        if (!File.Exists(System.IO.Path.Combine(full, LockFile))) return;
        try
        {
            using FileStream? held = Lock(full);
            if (held is not null) Recover(full);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            System.Diagnostics.Trace.TraceWarning(e.Message); // must not stop a process that only reads there
        }
    }

    /// <summary>Refuses a folder that another run writes to; changes nothing.</summary>
    /// <exception cref="InputException">Another run writes to it.</exception>
    public static void RequireFree(string path)
    {
        string full = System.IO.Path.GetFullPath(path);
        if (Writer(full) is not null) throw Taken(full);
    }

    /// <summary>A description of the process that currently writes to a folder; null without one. Changes
    /// nothing.</summary>
    public static string? Writer(string path)
    {
        string full = System.IO.Path.GetFullPath(path);
        if (!File.Exists(System.IO.Path.Combine(full, LockFile))) return null;
        try
        {
            using FileStream? held = Lock(full);
            return held is null ? Describe(full) : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null; // nobody holds it; Take reports problems of the folder when it is written to
        }
    }

    /// <summary>Refuses to write if the folder is no longer the one that was locked: an unmounted disk leaves an empty
    /// folder behind.</summary>
    /// <exception cref="RunStorageException">The folder has been replaced, or cannot be read.</exception>
    public void Verify()
    {
        RunOwner? found;
        try
        {
            found = Owner(Path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RunStorageException(
                $"{Path} cannot be read any more: {e.Message.TrimEnd('.')}. {Advice}", e) { SaysWhatIsLeft = true };
        }
        if (found?.Token != owner.Token)
            throw new RunStorageException(
                $"{Path} is no longer the folder that this run began in: was it moved, or has a disk gone? " +
                $"{Advice}") { SaysWhatIsLeft = true };
    }

    /// <summary>Releases the folder.</summary>
    public void Dispose() => held.Dispose();

    private static readonly Words Advice = Words.Of(
        $"Nothing more is written. Restore the folder; if it has a checkpoint, resume the run" +
        $"{KnownSettings.Resume.Aside}.");

    private static FileStream? Lock(string folder)
    {
        try
        {
            return new FileStream(
                System.IO.Path.Combine(folder, LockFile), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException e) when (IsTaken(e))
        {
            return null;
        }
    }

    // System error numbers: EWOULDBLOCK on Linux and macOS, ERROR_SHARING_VIOLATION on Windows.
    private static bool IsTaken(IOException e) => e.HResult is 11 or 35 or unchecked((int)0x80070020);

    private static InputException Taken(string folder) =>
        new($"{folder} is in use by another run ({Describe(folder)}). Wait for it, stop it, or choose another output.");

    private static string Describe(string folder)
    {
        try
        {
            return Owner(folder)?.ToString() ?? "its process is unknown";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "its process cannot be read"; // only the lock matters
        }
    }

    private static RunOwner? Owner(string folder)
    {
        string path = System.IO.Path.Combine(folder, OwnerFile);
        if (!File.Exists(path)) return null;
        try
        {
            return JsonSerializer.Deserialize<RunOwner>(SmallFile.ReadText(path));
        }
        catch (JsonException)
        {
            return null; // written by something else
        }
    }

    private static void Recover(string folder)
    {
        AtomicFolder.Recover(folder, Written.Contains);
        AtomicFolder.Recover(System.IO.Path.Combine(folder, Checkpoints), CheckpointStore.IsCheckpoint);
        foreach (string file in Directory.GetFiles(folder, ".*.tmp")
            .Where(file => Temporary().IsMatch(System.IO.Path.GetFileName(file))))
            File.Delete(file);
    }

    [GeneratedRegex(
        @"\A\.(recipe\.yaml|run\.json|comparison\.json|comparison\.before\.json|stream\.marks|\.run\.owner)\.[0-9a-f]{32}\.tmp\z", RegexOptions.ExplicitCapture)]
    private static partial Regex Temporary();
}

/// <summary>The process that writes to a run's folder.</summary>
/// <param name="Process">Its id.</param>
/// <param name="Host">The machine on which it runs.</param>
/// <param name="Started">The time when it locked the folder.</param>
/// <param name="Token">Distinguishes this lock from all others.</param>
internal sealed record RunOwner(int Process, string Host, DateTimeOffset Started, Guid Token)
{
    public static RunOwner Current() =>
        new(Environment.ProcessId, Environment.MachineName, DateTimeOffset.UtcNow, Guid.NewGuid());

    public override string ToString() =>
        FormattableString.Invariant($"process {Process} on {Host}, since {Started:yyyy-MM-dd HH:mm:ss} UTC");
}
