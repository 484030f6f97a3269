using LowRank.Training;

namespace LowRank.Recipes.Steps;

/// <summary>Lets the model write at every evaluation, and evaluates it before the first step, so that a run shows what
/// it began with.</summary>
/// <param name="inner">Hears of the run and of what is written.</param>
/// <param name="evaluate">Evaluates the model as it is.</param>
/// <param name="generate">Lets the model write.</param>
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
        // a model without numbers writes nothing
        double.IsFinite(evaluation.Loss) ? evaluation with { Generations = generate() } : evaluation);

    public void Saving(long step) => inner.Saving(step);

    public void Waiting(string message) => inner.Waiting(message);

    public void Finished(TrainingResult result) => inner.Finished(result);
}
