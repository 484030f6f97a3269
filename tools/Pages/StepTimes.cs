using System.Diagnostics;
using LowRank.Training;

namespace LowRank.Pages;

/// <summary>Records the duration of each step.</summary>
internal sealed class StepTimes : ITrainingObserver
{
    private readonly List<double> seconds = [], processorSeconds = [];
    private TimeSpan before, processorBefore;

    /// <summary>Median seconds per step, without the first.</summary>
    public double Median => Statistics.Median(Seconds);

    /// <summary>Seconds of each step, without the first, which is a warm-up.</summary>
    public IEnumerable<double> Seconds => seconds.Skip(1);

    /// <summary>Processor seconds of each step over all threads, without the first.</summary>
    public IEnumerable<double> ProcessorSeconds => processorSeconds.Skip(1);

    public void Started(TrainingPlan plan) => (before, processorBefore) = (TimeSpan.Zero, ProcessorTime());

    public void Stepped(TrainingStep step)
    {
        TimeSpan processor = ProcessorTime();
        seconds.Add((step.Elapsed - before).TotalSeconds);
        processorSeconds.Add((processor - processorBefore).TotalSeconds);
        (before, processorBefore) = (step.Elapsed, processor);
    }

    public void Evaluated(EvaluationResult evaluation)
    {
    }

    public void Finished(TrainingResult result)
    {
    }

    private static TimeSpan ProcessorTime()
    {
        using Process process = Process.GetCurrentProcess();
        return process.TotalProcessorTime;
    }
}

/// <summary>The cost of a few steps of a method in one round.</summary>
/// <param name="Seconds">Time of each step.</param>
/// <param name="ProcessorSeconds">Processor time of each step.</param>
/// <param name="MemoryBytes">Peak memory of the process during those steps, minus its memory with the base
/// opened.</param>
public sealed record CostRound(IReadOnlyList<double> Seconds, IReadOnlyList<double> ProcessorSeconds, long MemoryBytes)
{
    /// <summary>Mean over the steps of the minimum of all rounds: steps have the same rows in each round, and other
    /// work only adds to them.</summary>
    public static double Least(IReadOnlyList<CostRound> rounds, Func<CostRound, IReadOnlyList<double>> times) =>
        Enumerable.Range(0, times(rounds[0]).Count).Average(step => rounds.Min(round => times(round)[step]));
}

/// <summary>Summary statistics of measurements.</summary>
internal static class Statistics
{
    /// <summary>The median; for an even number the mean of the middle two; 0 for no values.</summary>
    public static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        int middle = sorted.Length / 2;
        return sorted.Length == 0 ? 0 : sorted.Length % 2 == 1 ? sorted[middle]
            : (sorted[middle - 1] + sorted[middle]) / 2;
    }
}
