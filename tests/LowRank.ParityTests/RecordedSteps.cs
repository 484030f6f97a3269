using LowRank.Training;

namespace LowRank.ParityTests;

/// <summary>Keeps every step of a run.</summary>
internal sealed class RecordedSteps : ITrainingObserver
{
    public List<TrainingStep> All { get; } = [];

    public void Started(TrainingPlan plan)
    {
        // Only the steps are compared.
    }

    public void Stepped(TrainingStep step) => All.Add(step);

    public void Evaluated(EvaluationResult evaluation)
    {
        // As above.
    }

    public void Finished(TrainingResult result)
    {
        // As above.
    }
}
