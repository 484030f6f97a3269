using System.Diagnostics;
using LowRank.Generation;

namespace LowRank.Cli.Bench.Generate;

/// <summary>One way to generate that is measured: so many sequences, with or without the adapter.</summary>
/// <param name="batch">Sequences.</param>
/// <param name="adapted">Whether the adapter is attached.</param>
internal sealed class GenerationWay(int batch, bool adapted)
{
    private readonly List<double> seconds = [];

    /// <summary>Sequences.</summary>
    public int Batch => batch;

    /// <summary>Whether the adapter is attached.</summary>
    public bool Adapted => adapted;

    /// <summary>The fastest prompt, to its first new token.</summary>
    public double PromptSeconds { get; private set; } = double.PositiveInfinity;

    /// <summary>The fastest step, as the limit is the fastest time to read as much.</summary>
    public double StepSeconds => seconds.Min();

    /// <summary>The step in the middle.</summary>
    public double MedianStepSeconds => seconds.Order().ElementAt(seconds.Count / 2);

    /// <summary>Managed bytes that a step allocates.</summary>
    public double ManagedBytes { get; private set; }

    /// <summary>Tokens a second in the fastest step.</summary>
    public double TokensPerSecond => batch / StepSeconds;

    /// <summary>Generates once.</summary>
    /// <param name="generator">The model.</param>
    /// <param name="prompts">At least as many prompts as sequences.</param>
    /// <param name="tokens">New tokens of each.</param>
    public void Run(TextGenerator generator, IReadOnlyList<int[]> prompts, int tokens)
    {
        var times = new List<long>(tokens);
        long allocated = 0;
        void Note(int row, int token)
        {
            if (row != batch - 1) return;
            times.Add(Stopwatch.GetTimestamp());
            if (times.Count == 1) allocated = GC.GetAllocatedBytesForCurrentThread();
        }
        long started = Stopwatch.GetTimestamp();
        generator.Generate([.. prompts.Take(batch)], new GenerationOptions { MaxNewTokens = tokens, Temperature = 0 }, Note);
        ManagedBytes = (double)(GC.GetAllocatedBytesForCurrentThread() - allocated) / (tokens - 1);
        PromptSeconds = Math.Min(PromptSeconds, Stopwatch.GetElapsedTime(started, times[0]).TotalSeconds);
        for (int step = 1; step < tokens; step++) seconds.Add(Stopwatch.GetElapsedTime(times[step - 1], times[step]).TotalSeconds);
    }
}
