namespace LowRank.Hub;

/// <summary>Hears of a download. Calls come from several threads, one at a time.</summary>
public interface IHubProgress
{
    /// <summary>Something that the user should know, such as a wait or the use of cached files; a sentence without its
    /// full stop.</summary>
    void Note(string message);

    /// <summary>Before the first byte.</summary>
    /// <param name="repository">What is fetched.</param>
    /// <param name="files">Files that the cache lacks.</param>
    /// <param name="bytes">Their bytes together, without those that an interrupted download left.</param>
    void Started(HubRepository repository, int files, long bytes);

    /// <summary>After each piece.</summary>
    /// <param name="file">The file's path.</param>
    /// <param name="bytes">How many bytes came; negative where some have to come again.</param>
    void Received(string file, long bytes);

    /// <summary>When every file is there and checked.</summary>
    void Finished();
}

/// <summary>Shows nothing.</summary>
public sealed class SilentProgress : IHubProgress
{
    private SilentProgress()
    {
    }

    /// <summary>The only one.</summary>
    public static SilentProgress Instance { get; } = new();

    /// <inheritdoc/>
    public void Note(string message)
    {
        // Nobody looks.
    }

    /// <inheritdoc/>
    public void Started(HubRepository repository, int files, long bytes)
    {
        // Nobody looks.
    }

    /// <inheritdoc/>
    public void Received(string file, long bytes)
    {
        // Nobody looks.
    }

    /// <inheritdoc/>
    public void Finished()
    {
        // Nobody looks.
    }
}
