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
    private readonly Thread thread;
    private int isClosed;

    /// <summary>Starts the thread.</summary>
    /// <param name="owner">The name of the object that is disposed, for messages.</param>
    /// <param name="close">Runs on the thread after its last work.</param>
    public ModelThread(string owner, Action close)
    {
        (this.owner, this.close) = (owner, close);
        // A program that ends without disposing of its model is not held up.
        thread = new Thread(Loop, StackBytes) { IsBackground = true, Name = "LowRank model" };
        thread.UnsafeStart(); // each piece of work has its caller's context instead of the first caller's
    }

    /// <summary>Whether no more work is taken.</summary>
    public bool IsClosed => Volatile.Read(ref isClosed) != 0;

    /// <summary>Puts work at the end of the queue.</summary>
    /// <param name="work">Obeys the token it is given, which is cancelled with <paramref name="cancellation"/> and when
    /// the thread ends.</param>
    /// <param name="cancellation">Work that is still in the queue is not begun.</param>
    /// <returns>What the work gives, or throws; its end, for work that was begun.</returns>
    /// <exception cref="ObjectDisposedException">The thread has ended, or ends before the work does.</exception>
    /// <exception cref="InvalidOperationException">The caller is work of this thread.</exception>
    public Task<T> Run<T>(Func<CancellationToken, T> work, CancellationToken cancellation)
    {
        RequireOther();
        if (cancellation.IsCancellationRequested) return Task.FromCanceled<T>(cancellation);
        // Null where its flow is suppressed.
        var queued = new Work<T>(work, Closed, ExecutionContext.Capture(), cancellation, closing.Token);
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

    /// <summary>Puts work at the end of the queue, also as work of this thread, which nobody waits for. It has no
    /// context: it is not the work of one caller.</summary>
    /// <param name="work">Obeys the token, which is cancelled when the thread ends. It must not throw.</param>
    /// <param name="refused">Called instead if the thread has ended, or ends before the work begins.</param>
    public void Post(Action<CancellationToken> work, Action refused)
    {
        var queued = new Work<bool>(token =>
        {
            work(token);
            return true;
        }, Closed, context: null, CancellationToken.None, closing.Token);
        try
        {
            queue.Add(queued, CancellationToken.None);
        }
        catch (InvalidOperationException)
        {
            queued.Refuse();
        }
        _ = queued.Result.ContinueWith(_ => refused(), CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted,
            TaskScheduler.Default);
    }

    /// <inheritdoc cref="Run{T}"/>
    public Task Run(Action<CancellationToken> work, CancellationToken cancellation) => Run(token =>
    {
        work(token);
        return true;
    }, cancellation);

    /// <summary>Stops the work under way after its current step or token, refuses what waits, and ends the
    /// thread.</summary>
    /// <exception cref="InvalidOperationException">The caller is work of this thread.</exception>
    public async ValueTask DisposeAsync()
    {
        RequireOther();
        if (Interlocked.Exchange(ref isClosed, 1) == 0)
        {
            queue.CompleteAdding();
            await closing.CancelAsync().ConfigureAwait(false);
        }
        await ended.Task.ConfigureAwait(false);
    }

    /// <summary>What is said of work that comes too late.</summary>
    public ObjectDisposedException Closed() => new(owner, $"The {owner} was disposed of; load another one.");

    // Who waits here for this thread waits for itself.
    private void RequireOther()
    {
        if (Thread.CurrentThread == thread)
            throw new InvalidOperationException(
                $"The {owner} was called from its own thread, as by a listener of its progress or log, and would " +
                "wait for itself. Call it after the work has ended; to end the work, cancel its token.");
    }

    private void Loop()
    {
        SynchronizationContext.SetSynchronizationContext(new ElsewhereContext());
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

    // What a listener sets off by ending a task of its own, such as an awaiting method, goes on on the pool: where a
    // thread has a context, .NET runs no continuation on it.
    private sealed class ElsewhereContext : SynchronizationContext
    {
        public override SynchronizationContext CreateCopy() => this;
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
        private readonly ExecutionContext? context;

        public Work(
            Func<CancellationToken, T> work, Func<ObjectDisposedException> closed, ExecutionContext? context,
            CancellationToken cancellation, CancellationToken closing)
        {
            (this.work, this.cancellation, this.closing, this.closed) = (work, cancellation, closing, closed);
            this.context = context;
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
            // The caller's logging scopes and Activity hold for its work.
            if (context is null) Perform();
            else ExecutionContext.Run(context, static self => ((Work<T>)self!).Perform(), this);
        }

        private void Perform()
        {
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
