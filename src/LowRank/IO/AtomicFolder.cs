using System.Text.RegularExpressions;

namespace LowRank.IO;

/// <summary>Writes a folder that appears complete or not at all.</summary>
internal static partial class AtomicFolder
{
    /// <summary>Fills a temporary folder next to <paramref name="target"/> and moves it into place.</summary>
    /// <remarks>An existing folder is replaced only once the new one is complete and flushed to disk. A process killed
    /// at any moment leaves the old folder, the new one, or (for an instant) the old one under the name
    /// <c>target.replaced-…</c>, which <see cref="Recover"/> restores; never a half-written one.</remarks>
    /// <param name="target">The folder to create.</param>
    /// <param name="fill">Writes the files into the given folder.</param>
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

    /// <summary>Cleans up after a process that ended while writing: restores a folder that was being replaced and
    /// removes half-written ones. Files of living writers stay.</summary>
    /// <param name="parent">The folder that contains the targets; nothing happens if it does not exist.</param>
    /// <param name="isTarget">Which names <see cref="Write"/> writes; others are ignored.</param>
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

    // A lock next to the folders of one write. The operating system releases it with the process, so it shows whether
    // the writer is alive.
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
                // Take another name: this one exists, or another process was just checking it.
            }
        }
    }

    private static string LockPath(string parent, string name, string unique) =>
        Path.Combine(parent, $".{name}.{unique}.lock");

    // Leftovers of killed writers of a target.
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

    // Handles a writer's leftovers unless that writer is alive and holds its lock. Older versions had no lock.
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

    // Cleaning up after an error may fail as well, for example on a lost disk. The original error is the one to report,
    // and Recover removes the leftovers.
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
