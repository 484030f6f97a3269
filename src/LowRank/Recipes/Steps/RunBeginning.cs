using LowRank.Training;

namespace LowRank.Recipes.Steps;

/// <summary>Performs a run's initial actions once the run is certain to proceed; a rejected run changes
/// nothing.</summary>
/// <param name="begin">Performs them.</param>
internal sealed class RunBeginning(Action begin) : ITrainingObserver
{
    public void Started(TrainingPlan plan) => begin();

    public void Stepped(TrainingStep step)
    {
        // The run has already begun.
    }

    public void Evaluated(EvaluationResult evaluation)
    {
        // The run has already begun.
    }

    public void Finished(TrainingResult result)
    {
        // The run has already begun.
    }
}
