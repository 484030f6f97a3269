namespace LowRank.Cli.Chat;

/// <summary>Makes Ctrl+C end the current reply instead of the program. Without a reply, or if the reply was already
/// asked to end, Ctrl+C ends the program as usual.</summary>
internal sealed class ReplyInterrupt : IDisposable
{
    private readonly Lock guard = new();
    private CancellationTokenSource? reply;

    public ReplyInterrupt() => Console.CancelKeyPress += OnCancelKey;

    /// <summary>Runs something that an interrupt cancels.</summary>
    public T During<T>(Func<CancellationToken, T> work)
    {
        using var source = new CancellationTokenSource();
        lock (guard) reply = source;
        try
        {
            return work(source.Token);
        }
        finally
        {
            lock (guard) reply = null;
        }
    }

    /// <summary>Asks the current reply to end.</summary>
    /// <returns>Whether there was a reply that had not been asked yet.</returns>
    public bool Interrupt()
    {
        lock (guard)
        {
            if (reply is null || reply.IsCancellationRequested) return false;
            reply.Cancel();
            return true;
        }
    }

    public void Dispose() => Console.CancelKeyPress -= OnCancelKey;

    private void OnCancelKey(object? sender, ConsoleCancelEventArgs pressed) => pressed.Cancel = Interrupt();
}
