using System.Diagnostics;
using LowRank.Cli.Views;
using LowRank.Tensors;

namespace LowRank.Cli.Sweep;

/// <summary>Runs what a sweep has not finished yet, in turn or side by side.</summary>
/// <param name="recipe">The recipe.</param>
/// <param name="state">Keeps what comes of it.</param>
/// <param name="parallel">Runs at a time.</param>
internal sealed class SweepRunner(string recipe, SweepState state, int parallel)
{
    private readonly Lock printing = new();

    /// <summary>Runs; each end is told in a line.</summary>
    /// <param name="runs">All runs of the sweep.</param>
    /// <param name="stop">Starts no more runs, and lets those that go on finish their step and save.</param>
    public void Run(IReadOnlyList<SweepRun> runs, CancellationToken stop)
    {
        // Side by side each has its share of the cores: threads that wait for each other's cores are slower than fewer threads.
        int? threads = parallel > 1 ? Math.Max(1, ProcessorCores.Physical() / parallel) : null;
        var left = new Queue<SweepRun>(runs.Where(run => run.State != "finished"));
        var workers = Enumerable.Range(0, Math.Min(parallel, left.Count)).Select(_ => new Thread(Work)).ToList();
        Exception? failure = null;
        void Work()
        {
            try
            {
                while (!stop.IsCancellationRequested && Next(left) is { } run) Train(run, runs, threads, stop);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException or InvalidOperationException or System.ComponentModel.Win32Exception)
            {
                failure = e;
            }
        }
        foreach (Thread worker in workers) worker.Start();
        foreach (Thread worker in workers) worker.Join();
        if (failure is not null) throw new IOException($"The sweep stopped: {failure.Message} Run it again to go on.", failure);
    }

    private void Train(SweepRun run, IReadOnlyList<SweepRun> runs, int? threads, CancellationToken stop)
    {
        long started = Stopwatch.GetTimestamp();
        int exitCode = SweepProcess.Train(recipe, run, threads, stop);
        run.Seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        run.State = exitCode == ExitCodes.Success ? "finished" : stop.IsCancellationRequested ? "stopped" : "failed";
        state.Measure(run);
        state.Write(runs);
        string result = run.State == "failed" ? $"failed with exit code {exitCode}; see {run.Folder}.log" : FormattableString.Invariant($"{run.State}, {(run.Best is { } best ? $"{best:g5} after step {run.BestStep}" : "nothing measured")}");
        lock (printing) Console.WriteLine($"[{runs.Count(other => other.State != "pending")}/{runs.Count}] {run.Name}: {result} ({Durations.Show(TimeSpan.FromSeconds(run.Seconds.Value))})");
    }

    private static SweepRun? Next(Queue<SweepRun> left)
    {
        lock (left) return left.TryDequeue(out SweepRun? run) ? run : null;
    }
}
