namespace LowRank.IO;

/// <summary>Resolves where an output goes: follows links, writes into devices and pipes directly, and never overwrites
/// an input.</summary>
internal static class OutputPath
{
    private const int MostLinks = 40; // as Linux follows

    private static readonly EnumerationOptions Everything =
        new()
        {
            RecurseSubdirectories = true,
            IgnoreInaccessible = true,
            AttributesToSkip = FileAttributes.None,
            MaxRecursionDepth = 8,
        };

    /// <summary>The full path of a path's target, even if it does not exist yet.</summary>
    /// <exception cref="InputException">The links form a cycle.</exception>
    public static string Resolve(string path)
    {
        string full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        for (int links = 0; links <= MostLinks; links++)
        {
            // The targets of /dev/stdout and similar paths have no name.
            if (IsSystems(full) || new FileInfo(full).LinkTarget is not { } target) return full;
            full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(target, Path.GetDirectoryName(full)!));
        }
        throw new InputException($"{path} cannot be written: its links lead in a circle. Choose another output.");
    }

    /// <summary>Opens devices, pipes and paths named by the system for writing; null for a file that is replaced as a
    /// whole.</summary>
    /// <param name="full">A path from <see cref="Resolve"/>.</param>
    public static Stream? OpenThrough(string full)
    {
        if (full is "/dev/stdout" or "/proc/self/fd/1" or "/dev/fd/1") return Console.OpenStandardOutput();
        if (full is "/dev/stderr" or "/proc/self/fd/2" or "/dev/fd/2") return Console.OpenStandardError();
        bool isThrough = FileIdentity.From(full) is { } file
            ? !file.IsPlain || (IsSystems(full) && !Directory.Exists(full)) : IsSystems(full) && File.Exists(full);
        if (!isThrough) return null;
        var stream = new FileStream(full, FileMode.Open, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
        // a regular file among the devices
        if (FileIdentity.From(full) is { IsPlain: true } && !IsDescriptor(full)) stream.SetLength(0);
        return stream;
    }

    /// <summary>Gives the replacement of a file or folder the old mode, and the old owner if the process may.</summary>
    public static void KeepAttributes(string old, string replacement)
    {
        if (OperatingSystem.IsWindows() || !Path.Exists(old)) return;
        FileIdentity.From(old)?.GiveOwner(replacement);
        File.SetUnixFileMode(replacement, File.GetUnixFileMode(old));
    }

    /// <summary>Rejects an output that is also an input.</summary>
    /// <param name="option">The name of the output, for the message.</param>
    /// <param name="output">The file or folder to write.</param>
    /// <param name="inputs">Files, and folders whose files are read; nulls are ignored.</param>
    /// <exception cref="InputException">The output is one of them, possibly under another name.</exception>
    public static void RefuseInputs(string option, string output, IEnumerable<string?> inputs)
    {
        if (!Path.Exists(output) || FileIdentity.From(output) is { IsPlain: false }) return;
        foreach (string input in inputs.OfType<string>())
        {
            bool isFolder = Directory.Exists(input);
            string? same = FileIdentity.AreSame(output, input) ? input
                : isFolder && File.Exists(output)
                ? Directory.EnumerateFiles(input, "*", Everything)
                .FirstOrDefault(file => FileIdentity.AreSame(output, file)) : null;
            if (same is not null)
                throw new InputException(
                    $"{option} is {output}, which is {(same == output ? "a" : $"the same as {same}, a")} " +
                    $"{(isFolder && same == input ? "folder" : "file")} that is read: " +
                    "writing it would destroy it. Choose another output.");
        }
    }

    private static bool IsSystems(string full) =>
        IsDescriptor(full)
            || (full.StartsWith("/dev/", StringComparison.Ordinal)
            && !full.StartsWith("/dev/shm/", StringComparison.Ordinal));

    // An open file of the process that the opener continues to use.
    private static bool IsDescriptor(string full) => full.StartsWith("/proc/", StringComparison.Ordinal)
        || full.StartsWith("/dev/fd/", StringComparison.Ordinal);
}
