namespace LowRank.Hub;

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
