namespace LowRank.Training;

/// <summary>Hears of a run's progress, on the run's own thread.</summary>
public interface ITrainingObserver
{
    /// <summary>Before the first step.</summary>
    void Started(TrainingPlan plan);

    /// <summary>After each optimizer step.</summary>
    void Stepped(TrainingStep step);

    /// <summary>After each evaluation.</summary>
    void Evaluated(EvaluationResult evaluation);

    /// <summary>Before a checkpoint is written: what was told so far must outlast a loss of power, as the checkpoint
    /// will.</summary>
    void Saving(long step)
    {
        // Most observers keep nothing.
    }

    /// <summary>While the disk is full: what the run waits for, and that it is over.</summary>
    void Waiting(string message)
    {
        // Most observers have nobody to tell.
    }

    /// <summary>After the last step, when everything is saved.</summary>
    void Finished(TrainingResult result);
}

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

/// <summary>A text that the model wrote at an evaluation.</summary>
/// <param name="Prompt">What it went on with.</param>
/// <param name="Text">What it wrote, without the prompt.</param>
public sealed record GeneratedText(string Prompt, string Text);
