namespace LowRank;

/// <summary>Has a run wait while the disk is full, instead of ending and losing what is in its memory: it goes on once
/// there is space.</summary>
/// <param name="limit">How long a single write waits; <see cref="Timeout.InfiniteTimeSpan"/> for as long as it
/// takes.</param>
/// <param name="say">Hears what is waited for, and that it is over.</param>
internal sealed class StorageWait(TimeSpan limit, Action<string> say)
{
    private static readonly TimeSpan First = TimeSpan.FromSeconds(1), Longest = TimeSpan.FromSeconds(30),
        Reminder = TimeSpan.FromMinutes(10);

    // ENOSPC; EDQUOT of Linux and macOS; ERROR_DISK_FULL and ERROR_HANDLE_DISK_FULL of Windows
    private static readonly HashSet<int> Full = [28, 122, 69, unchecked((int)0x80070070), unchecked((int)0x80070027)];

    /// <summary>Waits; tests put something quicker in its place.</summary>
    internal Action<TimeSpan> Sleep { get; init; } = Thread.Sleep;

    /// <summary>Whether an error says that there is no space left.</summary>
    public static bool IsFull(Exception e) =>
        e is IOException && (Full.Contains(e.HResult) || (e.InnerException is { } inner && IsFull(inner)));

    /// <summary>Writes, and tries again while there is no space.</summary>
    /// <param name="path">What is written, for the message.</param>
    /// <param name="write">Writes it whole, or leaves what was there.</param>
    /// <exception cref="IOException">Another error, or the time is over.</exception>
    internal T Run<T>(string path, Func<T> write)
    {
        TimeSpan waited = TimeSpan.Zero, pause = First, said = -Reminder;
        while (true)
        {
            try
            {
                T written = write();
                if (waited > TimeSpan.Zero) say($"{path} is written; the run continues.");
                return written;
            }
            catch (IOException e) when (IsFull(e) && (limit == Timeout.InfiniteTimeSpan || waited < limit))
            {
                if (waited - said >= Reminder)
                {
                    said = waited;
                    say($"{path} cannot be written: {e.Message.TrimEnd('.')}. The run waits with everything in " +
                        "memory, and goes on by itself once there is space: remove what is not needed. To end it " +
                        "here loses what it learned since its last checkpoint.");
                }
            }
            Sleep(pause);
            waited += pause;
            pause = pause * 2 < Longest ? pause * 2 : Longest;
        }
    }
}
