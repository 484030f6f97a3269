using LowRank.Training;

namespace LowRank.Recipes.Steps;

/// <summary>Does what belongs to a run's beginning once the run is sure to go on: before, a refused one has changed
/// nothing.</summary>
/// <param name="begin">Does it.</param>
internal sealed class RunBeginning(Action begin) : ITrainingObserver
{
    public void Started(TrainingPlan plan) => begin();

    public void Stepped(TrainingStep step)
    {
        // The beginning is over.
    }

    public void Evaluated(EvaluationResult evaluation)
    {
        // The beginning is over.
    }

    public void Finished(TrainingResult result)
    {
        // The beginning is over.
    }
}
