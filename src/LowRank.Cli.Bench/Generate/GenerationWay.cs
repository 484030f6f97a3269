using System.Diagnostics;
using LowRank.Generation;

namespace LowRank.Cli.Bench.Generate;

/// <summary>A measured way to generate: a number of sequences, with or without the adapter.</summary>
/// <param name="batch">Sequences.</param>
/// <param name="adapted">Whether the adapter is attached.</param>
internal sealed class GenerationWay(int batch, bool adapted)
{
    private readonly List<double> rounds = [];
    private readonly List<double> means = [];
    private readonly List<double> prompts = [];
    private readonly List<double> seconds = [];

    /// <summary>Sequences.</summary>
    public int Batch => batch;

    /// <summary>Whether the adapter is attached.</summary>
    public bool Adapted => adapted;

    /// <summary>The fastest prompt, up to its first new token.</summary>
    public double PromptSeconds => prompts.Min();

    /// <summary>The prompt of each round.</summary>
    public IReadOnlyList<double> Prompts => prompts;

    /// <summary>All steps of each round on average.</summary>
    public IReadOnlyList<double> Means => means;

    /// <summary>The fastest step of each round.</summary>
    public IReadOnlyList<double> Rounds => rounds;

    /// <summary>The fastest step of the median round.</summary>
    public double StepSeconds => Median.Of(rounds);

    /// <summary>The median of all steps.</summary>
    public double MedianStepSeconds => Median.Of(seconds);

    /// <summary>Managed bytes that a step allocates.</summary>
    public double ManagedBytes { get; private set; }

    /// <summary>Tokens per second at <see cref="StepSeconds"/>.</summary>
    public double TokensPerSecond => batch / StepSeconds;

    /// <summary>Generates once.</summary>
    /// <param name="generator">The model.</param>
    /// <param name="texts">At least as many prompts as sequences.</param>
    /// <param name="tokens">New tokens per sequence.</param>
    public void Run(TextGenerator generator, IReadOnlyList<int[]> texts, int tokens)
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
        generator.Generate(
            [.. texts.Take(batch)], new GenerationOptions { MaxNewTokens = tokens, Temperature = 0 }, Note);
        ManagedBytes = (double)(GC.GetAllocatedBytesForCurrentThread() - allocated) / (tokens - 1);
        prompts.Add(Stopwatch.GetElapsedTime(started, times[0]).TotalSeconds);
        double[] steps = [.. times.Zip(times.Skip(1), (from, to) => Stopwatch.GetElapsedTime(from, to).TotalSeconds)];
        seconds.AddRange(steps);
        rounds.Add(steps.Min());
        means.Add(steps.Average());
    }
}
