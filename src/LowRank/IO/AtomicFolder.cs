using System.Text.RegularExpressions;

namespace LowRank.IO;

/// <summary>Writes a folder that appears whole or not at all.</summary>
internal static partial class AtomicFolder
{
    /// <summary>Fills a temporary folder beside <paramref name="target"/> and puts it in its place.</summary>
    /// <remarks>A folder that stood there before is replaced only once the new one is complete and flushed to the disk.
    /// A process killed at any moment leaves the old folder, the new one, or (for an instant) the old one under the
    /// name <c>target.replaced-…</c>, which <see cref="Recover"/> puts back; never a half-written one.</remarks>
    /// <param name="target">The folder to make.</param>
    /// <param name="fill">Writes the files into the folder it is given.</param>
    public static void Write(string target, Action<string> fill)
    {
        target = OutputPath.Resolve(target);
        if (File.Exists(target))
            throw new InputException($"{target} is a file; expected a folder to write to. Choose another output.");
        string parent = Path.GetDirectoryName(target)!, name = Path.GetFileName(target);
        Directory.CreateDirectory(parent);
        RemoveLeftovers(parent, name);
        using FileStream held = Hold(parent, name, out string unique);
        string temporary = $"{target}.partial-{unique}", replaced = $"{target}.replaced-{unique}";
        Directory.CreateDirectory(temporary);
        try
        {
            fill(temporary);
            OutputPath.KeepAttributes(target, temporary);
            Flush(temporary);
            if (Directory.Exists(target)) Directory.Move(target, replaced);
            Directory.Move(temporary, target);
        }
        catch
        {
            if (Directory.Exists(replaced) && !Directory.Exists(target)) Try(() => Directory.Move(replaced, target));
            if (Directory.Exists(temporary)) Try(() => Directory.Delete(temporary, recursive: true));
            throw;
        }
        AtomicFile.FlushFolder(parent);
        if (Directory.Exists(replaced)) Directory.Delete(replaced, recursive: true);
    }

    /// <summary>Tidies up after a process that ended while it wrote: puts a folder back that was about to be replaced,
    /// and removes what is half-written. What a living process writes stays.</summary>
    /// <param name="parent">The folder that holds the targets; nothing is done where it does not exist.</param>
    /// <param name="isTarget">Which names are written by <see cref="Write"/>; others are left alone.</param>
    internal static void Recover(string parent, Func<string, bool> isTarget)
    {
        if (!Directory.Exists(parent)) return;
        foreach (string left in Directory.GetDirectories(parent))
        {
            Match name = Leftover().Match(Path.GetFileName(left));
            if (!name.Success || !isTarget(name.Groups["target"].Value)) continue;
            string target = name.Groups["target"].Value;
            WhereDead(LockPath(parent, target, left[^8..]),
                () => Settle(left, Path.Combine(parent, target), name.Groups["kind"].Value));
        }
        foreach (string path in Directory.GetFiles(parent, ".*.lock"))
            if (Lock().Match(Path.GetFileName(path)) is { Success: true } name && isTarget(name.Groups["target"].Value))
                WhereDead(path, () => { });
    }

    // A lock beside the folders of one writing, which the operating system drops with the process: it tells whose
    // writer lives.
    private static FileStream Hold(string parent, string name, out string unique)
    {
        while (true)
        {
            unique = Guid.NewGuid().ToString("N")[..8];
            try
            {
                return new FileStream(
                    LockPath(parent, name, unique), FileMode.CreateNew, FileAccess.Write, FileShare.None, 1,
                    FileOptions.DeleteOnClose);
            }
            catch (IOException) when (File.Exists(LockPath(parent, name, unique)))
            {
                // Another name is taken: this one exists, or someone looked at it just then.
            }
        }
    }

    private static string LockPath(string parent, string name, string unique) =>
        Path.Combine(parent, $".{name}.{unique}.lock");

    // What earlier writers of a target left that were killed.
    private static void RemoveLeftovers(string parent, string name)
    {
        foreach (string path in Directory.GetFiles(parent, $".{name}.*.lock").Where(path => IsLock(path, name)))
        {
            string unique = Path.GetFileName(path)[(name.Length + 2)..^".lock".Length];
            WhereDead(path, () =>
            {
                foreach (string kind in (string[])["replaced", "partial"])
                    Settle(Path.Combine(parent, $"{name}.{kind}-{unique}"), Path.Combine(parent, name), kind);
            });
        }
    }

    // Does something about what a writer left, unless that writer lives: then it holds its lock. Without a lock there
    // was an older version.
    private static void WhereDead(string path, Action settle)
    {
        try
        {
            using FileStream? held = File.Exists(path)
                ? new FileStream(path, FileMode.Open, FileAccess.Write, FileShare.None, 1, FileOptions.DeleteOnClose)
                : null;
            settle();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            System.Diagnostics.Trace.TraceWarning(e.Message); // its writer lives, or it is another user's
        }
    }

    private static bool IsLock(string path, string name) =>
        LockEnd().IsMatch(Path.GetFileName(path)[(name.Length + 1)..]);

    private static void Settle(string left, string target, string kind)
    {
        if (!Directory.Exists(left)) return;
        if (kind == "replaced" && !Directory.Exists(target)) Directory.Move(left, target);
        else Directory.Delete(left, recursive: true);
    }

    [GeneratedRegex(@"\A\.(?<target>.+)\.[0-9a-f]{8}\.lock\z", RegexOptions.ExplicitCapture)]
    private static partial Regex Lock();

    [GeneratedRegex(@"\A\.[0-9a-f]{8}\.lock\z")]
    private static partial Regex LockEnd();

    // What is cleaned up after an error may fail as well, on a disk that is gone: the error itself is what must be
    // heard of, and Recover removes what is left.
    private static void Try(Action cleaning)
    {
        try
        {
            cleaning();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            System.Diagnostics.Trace.TraceWarning(e.Message);
        }
    }

    private static void Flush(string folder)
    {
        foreach (string file in Directory.GetFiles(folder))
        {
            using var stream = new FileStream(file, FileMode.Open, FileAccess.ReadWrite);
            stream.Flush(flushToDisk: true);
        }
        foreach (string inner in Directory.GetDirectories(folder)) Flush(inner);
        AtomicFile.FlushFolder(folder);
    }

    [GeneratedRegex(@"\A(?<target>.+)\.(?<kind>partial|replaced)-[0-9a-f]{8}\z", RegexOptions.ExplicitCapture)]
    private static partial Regex Leftover();
}
