namespace LowRank.Hub;

/// <summary>Receives the progress of a download. Calls come from several threads, one at a time.</summary>
public interface IHubProgress
{
    /// <summary>Called with a note for the user, such as a wait or the use of cached files; a sentence without a full
    /// stop.</summary>
    void Note(string message);

    /// <summary>Called before the first byte.</summary>
    /// <param name="repository">The repository to download.</param>
    /// <param name="files">Number of files that the cache lacks.</param>
    /// <param name="bytes">Their total size in bytes, without what an interrupted download has stored.</param>
    void Started(HubRepository repository, int files, long bytes);

    /// <summary>Called after each piece.</summary>
    /// <param name="file">The file's path.</param>
    /// <param name="bytes">Number of received bytes; negative if some must be downloaded again.</param>
    void Received(string file, long bytes);

    /// <summary>Called when every file is complete and verified.</summary>
    void Finished();
}

/// <summary>Ignores the progress.</summary>
internal sealed class SilentProgress : IHubProgress
{
    private SilentProgress()
    {
    }

    /// <summary>The only one.</summary>
    public static SilentProgress Instance { get; } = new();

    /// <inheritdoc/>
    public void Note(string message)
    {
        // Nothing to show.
    }

    /// <inheritdoc/>
    public void Started(HubRepository repository, int files, long bytes)
    {
        // Nothing to show.
    }

    /// <inheritdoc/>
    public void Received(string file, long bytes)
    {
        // Nothing to show.
    }

    /// <inheritdoc/>
    public void Finished()
    {
        // Nothing to show.
    }
}
