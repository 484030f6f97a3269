using LowRank.Server.Requests;

namespace LowRank.Server;

/// <summary>The folders that requests may name: those that lie below a root, links followed.</summary>
/// <param name="root">The root; null where no adapter may be loaded.</param>
internal sealed class AdapterFolders(string? root)
{
    private const int MostLinks = 40;

    // An adapter's folder has folders of its own where it embeds.
    private static readonly EnumerationOptions Inside = new()
    {
        RecurseSubdirectories = true, MaxRecursionDepth = 4, AttributesToSkip = FileAttributes.None,
        IgnoreInaccessible = false,
    };

    private readonly string? real = root is null ? null : Real(Path.GetFullPath(root));

    /// <summary>The folder that a request names, relative to the root or in full.</summary>
    /// <exception cref="ApiException">It is not there, or not below the root: the answer does not tell
    /// which.</exception>
    public string Find(string path)
    {
        string? found = real is null || path.Contains('\0', StringComparison.Ordinal) ? null
            : Below(Path.GetFullPath(path, real));
        return found ?? throw ApiException.NotFound(
            $"There is no folder {RequestFields.Shortened(path)} below the folder for adapters.", "lora_path",
            "adapter_not_found");
    }

    private string? Below(string path)
    {
        try
        {
            string folder = Real(path);
            return IsBelow(folder) && Directory.Exists(folder)
                && Directory.EnumerateFileSystemEntries(folder, "*", Inside).All(entry => IsBelow(Real(entry)))
                ? folder : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return null; // a name that no folder has, a circle of links, a folder that may not be read
        }
    }

    private bool IsBelow(string path) =>
        path.StartsWith(Path.TrimEndingDirectorySeparator(real!) + Path.DirectorySeparatorChar,
            StringComparison.Ordinal);

    // The path without links, whichever part of it is one.
    private static string Real(string path)
    {
        string start = Path.GetPathRoot(path)!, reached = start;
        var parts = new Stack<string>(Parts(path[start.Length..]).Reverse());
        for (int links = 0; parts.TryPop(out string? part);)
        {
            if (part == "..")
            {
                reached = Path.GetDirectoryName(reached) ?? start;
                continue;
            }
            string next = Path.Combine(reached, part);
            if (new FileInfo(next).LinkTarget is not { } target)
            {
                reached = next;
                continue;
            }
            if (++links > MostLinks) throw new IOException("The links do not end.");
            if (Path.IsPathRooted(target)) reached = Path.GetPathRoot(target)!;
            foreach (string inner in Parts(target[(Path.GetPathRoot(target) ?? "").Length..]).Reverse())
                parts.Push(inner);
        }
        return reached;
    }

    private static IEnumerable<string> Parts(string path) =>
        path.Split([Path.DirectorySeparatorChar, Path.AltDirectorySeparatorChar],
            StringSplitOptions.RemoveEmptyEntries).Where(part => part != ".");
}
