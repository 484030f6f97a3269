using System.Text.Json;
using System.Text.RegularExpressions;
using LowRank.IO;

namespace LowRank.Training;

/// <summary>The output folder of a run, held by one process until it ends, however it ends.</summary>
/// <remarks>The lock is the operating system's, on the file <c>.run.lock</c>: it is gone with the process that held it,
/// so nothing has to be removed by hand after <c>kill -9</c> or a loss of power. The file itself stays.</remarks>
public sealed partial class RunFolder : IDisposable
{
    /// <summary>The folder in it that holds the resumable states.</summary>
    internal const string Checkpoints = "checkpoints";

    /// <summary>The folder in it that holds the weights of the lowest held-out loss.</summary>
    internal const string Best = "best";

    private const string LockFile = ".run.lock";
    private const string OwnerFile = ".run.owner";
    private static readonly HashSet<string> Written = ["adapter", "model", Best];
    private readonly FileStream held;
    private readonly RunOwner owner;

    private bool isClaimed;

    private RunFolder(string path, FileStream held, RunOwner owner) =>
        (Path, this.held, this.owner) = (path, held, owner);

    /// <summary>Waits while the disk is full; null does not.</summary>
    internal StorageWait? Waits { get; init; }

    /// <summary>Its full path.</summary>
    public string Path { get; }

    /// <summary>Makes the folder where it is missing, takes it for this process, and tidies up what a killed run left
    /// half-written.</summary>
    /// <exception cref="InputException">Another run writes to it.</exception>
    /// <exception cref="RunStorageException">It cannot be written to.</exception>
    public static RunFolder Take(string path)
    {
        RunFolder taken = Hold(path, waits: null);
        taken.Claim();
        return taken;
    }

    /// <summary>As <see cref="Take"/>, but nothing says yet whose it is: <see cref="Claim"/> does, once it is known
    /// that the run goes on.</summary>
    /// <param name="path">The folder.</param>
    /// <param name="waits">Waits while the disk is full; null does not.</param>
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
                $"{full} cannot be written to: {e.Message.TrimEnd('.')}. Choose another output, or see that the " +
                "disk is there and has space.", e);
        }
    }

    /// <summary>Notes whose the folder is; nothing where that is noted.</summary>
    /// <exception cref="RunStorageException">It cannot be written to.</exception>
    internal void Claim()
    {
        if (isClaimed) return;
        RunStorageException.Guard(
            System.IO.Path.Combine(Path, OwnerFile), () =>
            AtomicFile.Write(System.IO.Path.Combine(Path, OwnerFile), JsonSerializer.Serialize(owner)), Waits);
        isClaimed = true;
    }

    /// <summary>Removes what a killed run left half-written, where none writes to the folder now. A folder that is not
    /// to be written to stays as it is.</summary>
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
            System.Diagnostics.Trace.TraceWarning(e.Message); // whoever only reads there is not to be stopped by it
        }
    }

    /// <summary>Refuses a folder that another run writes to; changes nothing.</summary>
    /// <exception cref="InputException">Another run writes to it.</exception>
    public static void RequireFree(string path)
    {
        string full = System.IO.Path.GetFullPath(path);
        if (Writer(full) is not null) throw Taken(full);
    }

    /// <summary>The process that writes to a folder now, in words; null where none does. Changes nothing.</summary>
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
            return null; // nobody holds it; Take says what is wrong with the folder, when it is written to
        }
    }

    /// <summary>Refuses to write into a folder that is no longer the one that was taken: a lost mount leaves an empty
    /// one behind.</summary>
    /// <exception cref="RunStorageException">It is another folder now, or cannot be read.</exception>
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
                $"{Path} is no longer the folder that this run began in: was it moved, or has a disk gone? {Advice}") { SaysWhatIsLeft = true };
    }

    /// <summary>Lets others take the folder.</summary>
    public void Dispose() => held.Dispose();

    private const string Advice =
        "Nothing more is written. Bring the folder back; where it has a checkpoint, go on with --resume.";

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

    // The operating system's own numbers: EWOULDBLOCK of Linux and macOS, ERROR_SHARING_VIOLATION of Windows.
    private static bool IsTaken(IOException e) => e.HResult is 11 or 35 or unchecked((int)0x80070020);

    private static InputException Taken(string folder) =>
        new($"{folder} is being written by another run ({Describe(folder)}). Wait for it, stop it, or choose " +
            "another output.");

    private static string Describe(string folder)
    {
        try
        {
            return Owner(folder)?.ToString() ?? "which one is not known";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "which one cannot be read"; // the lock alone decides
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
/// <param name="Host">The machine it runs on.</param>
/// <param name="Started">When it took the folder.</param>
/// <param name="Token">Tells this taking from all others.</param>
internal sealed record RunOwner(int Process, string Host, DateTimeOffset Started, Guid Token)
{
    public static RunOwner Current() =>
        new(Environment.ProcessId, Environment.MachineName, DateTimeOffset.UtcNow, Guid.NewGuid());

    public override string ToString() =>
        FormattableString.Invariant($"process {Process} on {Host}, since {Started:yyyy-MM-dd HH:mm:ss} UTC");
}
