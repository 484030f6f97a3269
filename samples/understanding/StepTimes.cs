using LowRank.Training;

namespace LowRank.Samples.Understanding;

/// <summary>Remembers how long each step took.</summary>
internal sealed class StepTimes : ITrainingObserver
{
    private readonly List<double> seconds = [];
    private TimeSpan before;

    /// <summary>Median seconds a step, the first left out.</summary>
    public double Median => Statistics.Median(seconds.Skip(1));

    public void Started(TrainingPlan plan) => before = TimeSpan.Zero;

    public void Stepped(TrainingStep step)
    {
        seconds.Add((step.Elapsed - before).TotalSeconds);
        before = step.Elapsed;
    }

    public void Evaluated(EvaluationResult evaluation)
    {
    }

    public void Finished(TrainingResult result)
    {
    }
}
