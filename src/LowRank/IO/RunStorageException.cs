namespace LowRank;

/// <summary>A run cannot write to its folder: the disk is full, gone or may not be written to. What was saved before is
/// whole.</summary>
public sealed class RunStorageException : IOException, IWorded
{
    private Wording? wording;

    /// <summary>Reports it.</summary>
    /// <param name="message">What could not be written, what is left, what to do.</param>
    /// <param name="cause">The error of the file system; null where there was none.</param>
    public RunStorageException(string message, Exception? cause = null) : this(Words.Plain(message), cause) { }

    /// <inheritdoc cref="RunStorageException(string, Exception?)"/>
    public RunStorageException(Words message, Exception? cause = null) : base(null, cause) => Statement = message;

    /// <summary>What the message says, with settings as values.</summary>
    public Words Statement { get; }

    /// <inheritdoc/>
    public override string Message => Statement.In(wording);

    /// <summary>Whether the message says already what is left of the run, and how to go on.</summary>
    internal bool SaysWhatIsLeft { get; init; }

    /// <inheritdoc/>
    public void Word(Wording wording) => this.wording = wording;

    /// <summary>Works on a file that a run writes as it goes on; what goes wrong names the file and says what to
    /// do.</summary>
    /// <param name="path">The file.</param>
    /// <param name="work">Opens or writes it, whole or not at all.</param>
    /// <param name="waits">Waits while the disk is full; null does not.</param>
    internal static T Guard<T>(string path, Func<T> work, StorageWait? waits = null)
    {
        try
        {
            return waits is null ? work() : waits.Run(path, work);
        }
        catch (Exception e) when (e is (IOException or UnauthorizedAccessException) and not RunStorageException)
        {
            throw new RunStorageException(
                $"{path} could not be written: {e.Message.TrimEnd('.')}. See that the disk is there, has space and " +
                "may be written to.", e);
        }
    }

    /// <inheritdoc cref="Guard{T}(string, Func{T}, StorageWait?)"/>
    internal static void Guard(string path, Action work, StorageWait? waits = null) => Guard(path, () =>
    {
        work();
        return true;
    }, waits);
}
