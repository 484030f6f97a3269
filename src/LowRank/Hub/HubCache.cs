using LowRank.IO;


namespace LowRank.Hub;

/// <summary>A repository's part of the cache, with the layout of Python's huggingface_hub: <c>blobs</c> by content,
/// <c>refs</c> by revision, <c>snapshots</c> of links by commit.</summary>
internal sealed class HubCache(HubOptions options, HubRepository repository)
{
    private readonly string root = Path.Combine(options.CacheFolder, repository.CacheFolderName);

    /// <summary>The commit of a revision at its last lookup; null if it was never looked up.</summary>
    public string? KnownCommit()
    {
        if (repository.IsCommit) return Directory.Exists(Snapshot(repository.Revision)) ? repository.Revision : null;
        string reference = Reference();
        if (!File.Exists(reference)) return null;
        string commit = SmallFile.ReadText(reference).Trim();
        return commit.Length > 0 && commit.All(char.IsAsciiLetterOrDigit) && Directory.Exists(Snapshot(commit))
            ? commit : null;
    }

    /// <summary>Stores the commit of the revision.</summary>
    public void Remember(string commit)
    {
        if (!repository.IsCommit) AtomicFile.Write(Reference(), commit);
    }

    /// <summary>The folder of a commit's files.</summary>
    public string Snapshot(string commit) => Path.Combine(root, "snapshots", commit);

    /// <summary>The path of a file's content, by its etag.</summary>
    public string Blob(HubFile file) => Path.Combine(root, "blobs", file.Etag);

    /// <summary>The path of a file of a commit.</summary>
    public string Pointer(string commit, HubFile file) => Path.Combine([Snapshot(commit), .. file.Path.Split('/')]);

    /// <summary>Whether a commit's file exists.</summary>
    public bool Has(string commit, HubFile file) => File.Exists(Pointer(commit, file));

    /// <summary>Makes a commit's file point to its content: with a relative link, or by moving the content if the
    /// system has no links.</summary>
    public void Link(string commit, HubFile file)
    {
        string pointer = Pointer(commit, file), blob = Blob(file);
        Directory.CreateDirectory(Path.GetDirectoryName(pointer)!);
        if (File.Exists(pointer)) return;
        try
        {
            File.Delete(pointer); // a link whose content is gone
            File.CreateSymbolicLink(pointer, Path.GetRelativePath(Path.GetDirectoryName(pointer)!, blob));
        }
        catch (Exception e)
            when (e is UnauthorizedAccessException or PlatformNotSupportedException
            || (e is IOException && !File.Exists(pointer)))
        {
            File.Move(blob, pointer, overwrite: true); // as huggingface_hub does on Windows without developer mode
        }
    }

    /// <summary>Waits until no other process (including Python's) downloads the same content, and locks it.</summary>
    public async Task<IDisposable> Lock(HubFile file, IHubProgress progress, CancellationToken cancellation)
    {
        string path = Path.Combine(options.CacheFolder, ".locks", repository.CacheFolderName, file.Etag + ".lock");
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        for (int tries = 0; ; tries++)
        {
            try
            {
                // flock on Unix, like Python's filelock
                return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException) when (Directory.Exists(Path.GetDirectoryName(path)))
            {
                if (tries == 20) progress.Note($"another process is downloading {file.Path}; waiting for it");
                await Task.Delay(100, cancellation).ConfigureAwait(false);
            }
        }
    }

    /// <summary>Free bytes on the cache's disk; null if unknown.</summary>
    public long? FreeBytes()
    {
        Directory.CreateDirectory(Path.Combine(root, "blobs"));
        try
        {
            return new DriveInfo(root).AvailableFreeSpace;
        }
        catch (Exception e) when (e is IOException or ArgumentException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private string Reference() => Path.Combine([root, "refs", .. repository.Revision.Split('/')]);
}
