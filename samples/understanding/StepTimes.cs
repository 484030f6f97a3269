using System.Diagnostics;
using LowRank.Training;

namespace LowRank.Samples.Understanding;

/// <summary>Remembers how long each step took.</summary>
internal sealed class StepTimes : ITrainingObserver
{
    private readonly List<double> seconds = [], processorSeconds = [];
    private TimeSpan before, processorBefore;

    /// <summary>Median seconds a step, the first left out.</summary>
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
