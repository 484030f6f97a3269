using LowRank.Training;

namespace LowRank.Tests.Training;

/// <summary>Keeps what a run tells.</summary>
internal sealed class Recorder : ITrainingObserver
{
    public List<TrainingStep> Steps { get; } = [];

    public List<EvaluationResult> Evaluations { get; } = [];

    public Action<TrainingStep>? OnStep { get; init; }

    public TrainingResult? Result { get; private set; }

    public TrainingPlan? Plan { get; private set; }

    public void Started(TrainingPlan plan) => Plan = plan;

    public void Stepped(TrainingStep step)
    {
        Steps.Add(step);
        OnStep?.Invoke(step);
    }

    public void Evaluated(EvaluationResult evaluation) => Evaluations.Add(evaluation);

    public void Finished(TrainingResult result) => Result = result;
}
