using System.Diagnostics;
using LowRank.Generation;

namespace LowRank.Cli.Bench.Generate;

/// <summary>One way to generate that is measured: so many sequences, with or without the adapter.</summary>
/// <param name="batch">Sequences.</param>
/// <param name="adapted">Whether the adapter is attached.</param>
internal sealed class GenerationWay(int batch, bool adapted)
{
    private readonly List<double> rounds = [];
    private readonly List<double> seconds = [];

    /// <summary>Sequences.</summary>
    public int Batch => batch;

    /// <summary>Whether the adapter is attached.</summary>
    public bool Adapted => adapted;

    /// <summary>The fastest prompt, to its first new token.</summary>
    public double PromptSeconds { get; private set; } = double.PositiveInfinity;

    /// <summary>The fastest step of each round.</summary>
    public IReadOnlyList<double> Rounds => rounds;

    /// <summary>The fastest step of the round in the middle.</summary>
    public double StepSeconds => Middle.Of(rounds);

    /// <summary>The step in the middle of all.</summary>
    public double MedianStepSeconds => Middle.Of(seconds);

    /// <summary>Managed bytes that a step allocates.</summary>
    public double ManagedBytes { get; private set; }

    /// <summary>Tokens a second at <see cref="StepSeconds"/>.</summary>
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
        double[] steps = [.. times.Zip(times.Skip(1), (from, to) => Stopwatch.GetElapsedTime(from, to).TotalSeconds)];
        seconds.AddRange(steps);
        rounds.Add(steps.Min());
    }
}
