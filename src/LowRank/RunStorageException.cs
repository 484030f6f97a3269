namespace LowRank;

/// <summary>A run cannot write to its folder: the disk is full, gone or may not be written to. What was saved before is whole.</summary>
/// <param name="message">What could not be written, what is left, what to do.</param>
/// <param name="cause">The error of the file system; null where there was none.</param>
public sealed class RunStorageException(string message, Exception? cause = null) : IOException(message, cause)
{
    /// <summary>Works on a file that a run writes as it goes on; what goes wrong names the file and says what to do.</summary>
    /// <param name="path">The file.</param>
    /// <param name="work">Opens or writes it.</param>
    internal static T Guard<T>(string path, Func<T> work)
    {
        try
        {
            return work();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RunStorageException($"{path} could not be written: {e.Message.TrimEnd('.')}. " +
                "See that the disk is there, has space and may be written to, and go on with --resume from the newest checkpoint.", e);
        }
    }

    /// <inheritdoc cref="Guard{T}(string, Func{T})"/>
    internal static void Guard(string path, Action work) => Guard(path, () =>
    {
        work();
        return true;
    });
}
