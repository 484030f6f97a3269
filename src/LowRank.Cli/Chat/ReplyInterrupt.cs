namespace LowRank.Cli.Chat;

/// <summary>Lets Ctrl+C end the reply being written and not the program. Where no reply is, or one was asked to end
/// already, it ends the program as ever.</summary>
internal sealed class ReplyInterrupt : IDisposable
{
    private readonly Lock guard = new();
    private CancellationTokenSource? reply;

    public ReplyInterrupt() => Console.CancelKeyPress += OnCancelKey;

    /// <summary>Does something that an interrupt cancels.</summary>
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

    /// <summary>Asks the reply to end.</summary>
    /// <returns>Whether there was one that had not been asked yet.</returns>
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
