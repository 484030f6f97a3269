using LowRank.Training;

namespace LowRank.Recipes.Steps;

/// <summary>Has the model generate texts at every evaluation, and evaluates it before the first step to show its
/// initial state.</summary>
/// <param name="inner">Receives the run's events and the generated texts.</param>
/// <param name="evaluate">Evaluates the current model.</param>
/// <param name="generate">Has the model generate texts.</param>
internal sealed class GeneratingObserver(
    ITrainingObserver inner, Func<EvaluationResult> evaluate, Func<IReadOnlyList<GeneratedText>> generate)
    : ITrainingObserver
{
    public void Started(TrainingPlan plan)
    {
        inner.Started(plan);
        if (plan.ResumedFrom is null) Evaluated(evaluate());
    }

    public void Stepped(TrainingStep step) => inner.Stepped(step);

    public void Evaluated(EvaluationResult evaluation) => inner.Evaluated(
        // a model with non-finite outputs generates nothing
        double.IsFinite(evaluation.Loss) ? evaluation with { Generations = generate() } : evaluation);

    public void Saving(long step) => inner.Saving(step);

    public void Waiting(string message) => inner.Waiting(message);

    public void Finished(TrainingResult result) => inner.Finished(result);
}
