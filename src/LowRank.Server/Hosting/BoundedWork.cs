using LowRank.Serving;

namespace LowRank.Server;

/// <summary>Work that is done one piece after the other, of which only so much may wait.</summary>
/// <param name="mostRequests">Pieces that may be there at the same time.</param>
/// <param name="mostTokens">Tokens that they may have together; a piece that is alone may have more.</param>
internal sealed class BoundedWork(int mostRequests, long mostTokens) : IDisposable
{
    private readonly SemaphoreSlim turn = new(1);
    private readonly Lock guard = new();
    private int requests;
    private long tokens;

    /// <summary>Pieces that are there.</summary>
    public int Waiting
    {
        get
        {
            lock (guard) return requests;
        }
    }

    /// <summary>Does work when its turn has come.</summary>
    /// <exception cref="ServingException">As much waits as may.</exception>
    public async Task<T> Do<T>(long size, Func<Task<T>> work, CancellationToken cancellation)
    {
        Enter(size);
        try
        {
            return await Between(work, cancellation).ConfigureAwait(false);
        }
        finally
        {
            lock (guard) (requests, tokens) = (requests - 1, tokens - size);
        }
    }

    /// <summary>Does work that no client waits in line with, when nothing else is done; it is not refused.</summary>
    public async Task<T> Between<T>(Func<Task<T>> work, CancellationToken cancellation)
    {
        await turn.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            return await work().ConfigureAwait(false);
        }
        finally
        {
            turn.Release();
        }
    }

    /// <inheritdoc/>
    public void Dispose() => turn.Dispose();

    private void Enter(long size)
    {
        lock (guard)
        {
            if (requests >= mostRequests || (requests > 0 && tokens + size > mostTokens))
                throw new ServingException(
                    ServingRefusal.Busy, "As many requests wait as may. Ask again in a moment.");
            (requests, tokens) = (requests + 1, tokens + size);
        }
    }
}
