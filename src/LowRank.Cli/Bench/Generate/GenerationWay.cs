using System.Diagnostics;
using LowRank.Generation;

namespace LowRank.Cli.Bench.Generate;

/// <summary>One way to generate that is measured: so many sequences, with or without the adapter.</summary>
/// <param name="batch">Sequences.</param>
/// <param name="adapted">Whether the adapter is attached.</param>
internal sealed class GenerationWay(int batch, bool adapted)
{
    /// <summary>Sequences.</summary>
    public int Batch => batch;

    /// <summary>Whether the adapter is attached.</summary>
    public bool Adapted => adapted;

    /// <summary>The fastest prompt, to its first new token.</summary>
    public double PromptSeconds { get; private set; } = double.PositiveInfinity;

    /// <summary>A step, in the round whose steps were fastest on the whole.</summary>
    public double StepSeconds { get; private set; } = double.PositiveInfinity;

    /// <summary>Managed bytes that a step allocates.</summary>
    public double ManagedBytes { get; private set; }

    /// <summary>Tokens a second after the prompt.</summary>
    public double TokensPerSecond => batch / StepSeconds;

    /// <summary>Generates once.</summary>
    /// <param name="generator">The model.</param>
    /// <param name="prompts">At least as many prompts as sequences.</param>
    /// <param name="tokens">New tokens of each.</param>
    public void Run(TextGenerator generator, IReadOnlyList<int[]> prompts, int tokens)
    {
        long last = 0, first = 0, allocated = 0;
        int made = 0;
        void Note(int row, int token)
        {
            if (row != batch - 1) return;
            last = Stopwatch.GetTimestamp();
            if (made++ > 0) return;
            (first, allocated) = (last, GC.GetAllocatedBytesForCurrentThread());
        }
        long started = Stopwatch.GetTimestamp();
        generator.Generate([.. prompts.Take(batch)], new GenerationOptions { MaxNewTokens = tokens, Temperature = 0 }, Note);
        ManagedBytes = (double)(GC.GetAllocatedBytesForCurrentThread() - allocated) / (made - 1);
        PromptSeconds = Math.Min(PromptSeconds, Stopwatch.GetElapsedTime(started, first).TotalSeconds);
        StepSeconds = Math.Min(StepSeconds, Stopwatch.GetElapsedTime(first, last).TotalSeconds / (made - 1));
    }
}
