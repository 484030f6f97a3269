namespace LowRank.Training;

/// <summary>Work on memory in numbered blocks, which the calling thread and threads of the pool take one after the other.</summary>
/// <remarks>Every block is done once. Which thread does it is left open, so a result must not depend on it. An object is for one run:
/// a thread that comes late finds no block left.</remarks>
/// <param name="blocks">How many there are.</param>
internal abstract class BlockWork(int blocks) : IThreadPoolWorkItem
{
    private int taken;
    private int done;

    /// <summary>Does all blocks and returns when they are done.</summary>
    /// <param name="threads">How many threads may work, the calling one included.</param>
    public void Run(int threads)
    {
        for (int i = 1; i < Math.Min(threads, blocks); i++) ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
        ((IThreadPoolWorkItem)this).Execute();
        var wait = new SpinWait();
        while (Volatile.Read(ref done) < blocks) wait.SpinOnce(sleep1Threshold: -1); // a block lasts microseconds: no time to sleep
    }

    void IThreadPoolWorkItem.Execute()
    {
        for (int block = Interlocked.Increment(ref taken) - 1; block < blocks; block = Interlocked.Increment(ref taken) - 1)
        {
            Do(block);
            Interlocked.Increment(ref done);
        }
    }

    /// <summary>Does a block; must not throw.</summary>
    protected abstract void Do(int block);
}
