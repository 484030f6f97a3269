using System.Collections.Concurrent;

namespace LowRank;

/// <summary>The thread that owns a model: whatever is asked of the model, by any thread, runs here, one piece of work
/// after the other in the order it was asked.</summary>
/// <remarks>Dispose scopes belong to a thread, and adapters change what the model computes: neither may be shared by
/// two pieces of work.</remarks>
internal sealed class ModelThread : IAsyncDisposable
{
    private const int StackBytes = 8 << 20; // as a program's first thread has

    private readonly BlockingCollection<Work> queue = [];
    private readonly CancellationTokenSource closing = new();
    private readonly TaskCompletionSource ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly string owner;
    private readonly Action close;
    private int isClosed;

    /// <summary>Starts the thread.</summary>
    /// <param name="owner">The name of the object that is disposed, for messages.</param>
    /// <param name="close">Runs on the thread after its last work.</param>
    public ModelThread(string owner, Action close)
    {
        (this.owner, this.close) = (owner, close);
        // A program that ends without disposing of its model is not held up.
        new Thread(Loop, StackBytes) { IsBackground = true, Name = "LowRank model" }.Start();
    }

    /// <summary>Whether no more work is taken.</summary>
    public bool IsClosed => Volatile.Read(ref isClosed) != 0;

    /// <summary>Puts work at the end of the queue.</summary>
    /// <param name="work">Obeys the token it is given, which is cancelled with <paramref name="cancellation"/> and when
    /// the thread ends.</param>
    /// <param name="cancellation">Work that is still in the queue is not begun.</param>
    /// <returns>What the work gives, or throws; its end, for work that was begun.</returns>
    /// <exception cref="ObjectDisposedException">The thread has ended, or ends before the work does.</exception>
    public Task<T> Run<T>(Func<CancellationToken, T> work, CancellationToken cancellation)
    {
        if (cancellation.IsCancellationRequested) return Task.FromCanceled<T>(cancellation);
        var queued = new Work<T>(work, Closed, cancellation, closing.Token);
        try
        {
            queue.Add(queued, CancellationToken.None);
        }
        catch (InvalidOperationException)
        {
            queued.Refuse();
        }
        return queued.Result;
    }

    /// <inheritdoc cref="Run{T}"/>
    public Task Run(Action<CancellationToken> work, CancellationToken cancellation) => Run(token =>
    {
        work(token);
        return true;
    }, cancellation);

    /// <summary>Stops the work under way after its current step or token, refuses what waits, and ends the
    /// thread.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref isClosed, 1) == 0)
        {
            queue.CompleteAdding();
            await closing.CancelAsync().ConfigureAwait(false);
        }
        await ended.Task.ConfigureAwait(false);
    }

    /// <summary>What is said of work that comes too late.</summary>
    public ObjectDisposedException Closed() => new(owner, $"The {owner} was disposed of; load another one.");

    private void Loop()
    {
        try
        {
            foreach (Work work in queue.GetConsumingEnumerable()) work.Run();
            close();
            ended.SetResult();
        }
        catch (Exception failure)
        {
            ended.SetException(failure); // told to who disposes
        }
    }

    private abstract class Work
    {
        public abstract void Run();
    }

    private sealed class Work<T> : Work
    {
        private readonly TaskCompletionSource<T> result = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly Func<CancellationToken, T> work;
        private readonly CancellationToken cancellation, closing;
        private readonly Func<ObjectDisposedException> closed;
        private readonly CancellationTokenRegistration whileQueued;

        public Work(
            Func<CancellationToken, T> work, Func<ObjectDisposedException> closed, CancellationToken cancellation,
            CancellationToken closing)
        {
            (this.work, this.cancellation, this.closing, this.closed) = (work, cancellation, closing, closed);
            whileQueued = cancellation.Register(() => result.TrySetCanceled(cancellation));
        }

        public Task<T> Result => result.Task;

        public void Refuse()
        {
            whileQueued.Dispose();
            result.TrySetException(closed());
        }

        public override void Run()
        {
            whileQueued.Dispose();
            if (result.Task.IsCompleted) return;
            if (closing.IsCancellationRequested)
            {
                result.TrySetException(closed());
                return;
            }
            using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellation, closing);
            try
            {
                result.TrySetResult(work(either.Token));
            }
            catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
            {
                result.TrySetCanceled(cancellation);
            }
            catch (OperationCanceledException) when (closing.IsCancellationRequested)
            {
                result.TrySetException(closed());
            }
            catch (Exception failure)
            {
                result.TrySetException(failure);
            }
        }
    }
}
