using LowRank.IO;

namespace LowRank.Hub;

/// <summary>Folders of models and adapters, local or from the Hugging Face Hub.</summary>
public static class HubFolder
{
    /// <summary>The folder for a name: an existing folder, otherwise the repository of that name, downloaded into the
    /// cache.</summary>
    /// <param name="name">A folder, or <c>org/name[@revision]</c>. An existing folder takes precedence.</param>
    /// <param name="selection">The files that are needed.</param>
    /// <param name="options">The Hub's settings; null for those of the environment.</param>
    /// <param name="progress">Receives the progress; may be null.</param>
    /// <param name="cancellation">Cancels the download; downloaded data is kept for the next time.</param>
    /// <returns>The folder; in the cache, it has links to the files.</returns>
    /// <exception cref="InputException">There is neither such a folder nor such a repository, or it contains nothing
    /// usable.</exception>
    /// <exception cref="HubException">The Hub could not be reached, and the cache lacks the files.</exception>
    public static string Open(
        string name, HubSelection selection, HubOptions? options = null, IHubProgress? progress = null,
        CancellationToken cancellation = default) =>
        OpenAsync(name, selection, options, progress, cancellation).GetAwaiter().GetResult();

    /// <inheritdoc cref="Open"/>
    public static async Task<string> OpenAsync(
        string name, HubSelection selection, HubOptions? options = null, IHubProgress? progress = null,
        CancellationToken cancellation = default)
    {
        name = EmbeddedFiles.Resolve(name);
        if (Directory.Exists(name) || HubRepository.TryParse(name) is not { } repository) return name;
        try
        {
            return await Fetch(
                repository, selection, options ?? HubOptions.FromEnvironment(), progress, cancellation)
                .ConfigureAwait(false);
        }
        catch (InputException e)
        {
            throw new InputException(
                $"There is no folder {name}, and as a name on the Hugging Face Hub it cannot be used: {e.Message}", e);
        }
        catch (HubException e)
            when (e.InnerException is HttpRequestException { HttpRequestError: HttpRequestError.NameResolutionError })
        {
            // Without a network, a mistyped path is the more likely cause.
            throw new InputException(
                $"There is no folder {name}, and as a name on the Hugging Face Hub it cannot be used: {e.Message}", e);
        }
        catch (HubException e)
        {
            throw new HubException(
                $"There is no folder {name}, and as a name on the Hugging Face Hub it cannot be used: {e.Message}", e);
        }
    }

    /// <summary>Downloads the files of a repository that the cache lacks.</summary>
    /// <inheritdoc cref="Open"/>
    /// <param name="repository">The repository.</param>
    /// <param name="selection">The files that are needed.</param>
    /// <param name="options">Where the Hub is.</param>
    /// <param name="progress">Receives the progress; may be null.</param>
    /// <param name="cancellation">Gives up.</param>
    public static async Task<string> Fetch(HubRepository repository, HubSelection selection, HubOptions options,
        IHubProgress? progress = null, CancellationToken cancellation = default)
    {
        progress ??= SilentProgress.Instance;
        var cache = new HubCache(options, repository);
        if (options.IsOffline)
            return Cached(
                repository, selection, cache,
                $"HF_HUB_OFFLINE is set, but the cache {options.CacheFolder} does not contain {repository}");
        // a commit never changes
        if (repository.IsCommit && cache.KnownCommit() is { } whole
            && IsWhole(repository, selection, cache.Snapshot(whole)))
            return cache.Snapshot(whole);
        using var transport = new HubTransport(options, progress);
        var client = new HubClient(options, transport);
        HubSnapshot snapshot;
        try
        {
            snapshot = await client.List(repository, cancellation).ConfigureAwait(false);
        }
        catch (HubException e)
            when (cache.KnownCommit() is { } known && IsWhole(repository, selection, cache.Snapshot(known)))
        {
            progress.Note($"{repository}: using the cached files. {e.Message}");
            return cache.Snapshot(known);
        }
        IReadOnlyList<HubFile> wanted = selection.Choose(repository, snapshot.Files);
        await FetchFiles(repository, snapshot.Commit, wanted, cache, transport, client, options, progress, cancellation)
            .ConfigureAwait(false);
        cache.Remember(snapshot.Commit);
        return cache.Snapshot(snapshot.Commit);
    }

    private static async Task FetchFiles(
        HubRepository repository, string commit, IReadOnlyList<HubFile> wanted, HubCache cache, HubTransport transport,
        HubClient client,
        HubOptions options, IHubProgress progress, CancellationToken cancellation)
    {
        List<HubFile> missing = [.. wanted.Where(file => !cache.Has(commit, file))];
        // others are another revision's too
        List<HubFile> absent = [.. missing.Where(file => !File.Exists(cache.Blob(file)))];
        if (absent.Count > 0)
        {
            long bytes = absent.Sum(file => file.Size - HubDownload.Left(options, file, cache.Blob(file)));
            if (cache.FreeBytes() is { } free && bytes > free)
                throw new InputException(
                    $"{repository} needs {bytes / 1e9:0.00} GB in {options.CacheFolder}, where {free / 1e9:0.00} " +
                    "GB are free. Make room, or set HF_HOME to a folder on another disk.");
            progress.Started(repository, absent.Count, bytes);
        }
        foreach (HubFile file in missing)
        {
            using IDisposable held = await cache.Lock(file, progress, cancellation).ConfigureAwait(false);
            if (!File.Exists(cache.Blob(file)))
                await new HubDownload(options, transport, client.Address(repository, commit, file.Path), file,
                    cache.Blob(file), progress).Run(cancellation).ConfigureAwait(false);
            cache.Link(commit, file);
        }
        if (absent.Count > 0) progress.Finished();
    }

    private static string Cached(HubRepository repository, HubSelection selection, HubCache cache, string otherwise)
    {
        if (cache.KnownCommit() is not { } commit)
            throw new InputException($"{otherwise}. Run once with a network, or give a folder.");
        return IsWhole(repository, selection, cache.Snapshot(commit)) ? cache.Snapshot(commit)
            : throw new InputException(
                $"{otherwise} completely: {cache.Snapshot(commit)} lacks files. Run once with a network, or give a " +
                "folder.");
    }

    // Python may have downloaded only some files of a snapshot; an index names the required shards.
    private static bool IsWhole(HubRepository repository, HubSelection selection, string folder)
    {
        List<HubFile> present =
            [.. Directory.EnumerateFiles(folder).Where(File.Exists)
            .Select(path => new HubFile(Path.GetFileName(path), 0, ""))];
        try
        {
            IReadOnlyList<HubFile> chosen = selection.Choose(repository, present);
            return chosen.Where(file => file.Path.EndsWith(".index.json", StringComparison.Ordinal))
                .All(index => CheckpointIndex.Read(Path.Combine(folder, index.Path)).WeightMap.Values.Distinct()
                .All(shard => File.Exists(Path.Combine(folder, shard))));
        }
        catch (InputException)
        {
            return false; // something is missing: that is the answer, not an error
        }
    }
}
