namespace LowRank.Training;

/// <summary>Passes a run's progress on to several observers, in their order.</summary>
/// <param name="observers">Whom to tell.</param>
public sealed class ObserverGroup(params IReadOnlyList<ITrainingObserver> observers) : ITrainingObserver
{
    /// <inheritdoc/>
    public void Started(TrainingPlan plan)
    {
        foreach (ITrainingObserver observer in observers) observer.Started(plan);
    }

    /// <inheritdoc/>
    public void Stepped(TrainingStep step)
    {
        foreach (ITrainingObserver observer in observers) observer.Stepped(step);
    }

    /// <inheritdoc/>
    public void Evaluated(EvaluationResult evaluation)
    {
        foreach (ITrainingObserver observer in observers) observer.Evaluated(evaluation);
    }

    /// <inheritdoc/>
    public void Saving(long step)
    {
        foreach (ITrainingObserver observer in observers) observer.Saving(step);
    }

    /// <inheritdoc/>
    public void Waiting(string message)
    {
        foreach (ITrainingObserver observer in observers) observer.Waiting(message);
    }

    /// <inheritdoc/>
    public void Finished(TrainingResult result)
    {
        foreach (ITrainingObserver observer in observers) observer.Finished(result);
    }
}
