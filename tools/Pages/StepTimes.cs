using System.Diagnostics;
using LowRank.Training;

namespace LowRank.Pages;

/// <summary>Remembers how long each step took.</summary>
internal sealed class StepTimes : ITrainingObserver
{
    private readonly List<double> seconds = [], processorSeconds = [];
    private TimeSpan before, processorBefore;

    /// <summary>Median seconds per step, the first left out.</summary>
    public double Median => Statistics.Median(Seconds);

    /// <summary>Seconds of each step, the first left out: it warms up.</summary>
    public IEnumerable<double> Seconds => seconds.Skip(1);

    /// <summary>Seconds that processors worked on each step, of all threads together, the first left out.</summary>
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

/// <summary>What a few steps of a method took once.</summary>
/// <param name="Seconds">Time of each step.</param>
/// <param name="ProcessorSeconds">Time that processors worked on each step.</param>
/// <param name="MemoryBytes">The most memory of the process in those steps, less what it held with the base
/// opened.</param>
public sealed record CostRound(IReadOnlyList<double> Seconds, IReadOnlyList<double> ProcessorSeconds, long MemoryBytes)
{
    /// <summary>Mean over the steps, of each the least of all rounds: the steps have the same rows in each, and other
    /// work adds to them only.</summary>
    public static double Least(IReadOnlyList<CostRound> rounds, Func<CostRound, IReadOnlyList<double>> times) =>
        Enumerable.Range(0, times(rounds[0]).Count).Average(step => rounds.Min(round => times(round)[step]));
}

/// <summary>What the measurements are summed up with.</summary>
internal static class Statistics
{
    /// <summary>The middle value; the mean of the middle two of an even number; 0 of none.</summary>
    public static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        int middle = sorted.Length / 2;
        return sorted.Length == 0 ? 0 : sorted.Length % 2 == 1 ? sorted[middle]
            : (sorted[middle - 1] + sorted[middle]) / 2;
    }
}
