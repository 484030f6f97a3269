namespace LowRank.Training;

/// <summary>Receives a run's progress on the run's own thread.</summary>
public interface ITrainingObserver
{
    /// <summary>Called before the first step.</summary>
    void Started(TrainingPlan plan);

    /// <summary>Called after each optimizer step.</summary>
    void Stepped(TrainingStep step);

    /// <summary>Called after each evaluation.</summary>
    void Evaluated(EvaluationResult evaluation);

    /// <summary>Called before a checkpoint is written: everything reported so far must survive a power failure, like
    /// the checkpoint.</summary>
    void Saving(long step)
    {
        // Most observers store nothing.
    }

    /// <summary>Called while the disk is full, with what the run waits for, and when the wait is over.</summary>
    void Waiting(string message)
    {
        // Most observers have nothing to show.
    }

    /// <summary>Called after the last step, when everything is saved.</summary>
    void Finished(TrainingResult result);
}

/// <summary>Forwards a run's progress to several observers, in order.</summary>
/// <param name="observers">The observers.</param>
internal sealed class ObserverGroup(params IReadOnlyList<ITrainingObserver> observers) : ITrainingObserver
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

/// <summary>A text that the model generated at an evaluation.</summary>
/// <param name="Prompt">The prompt.</param>
/// <param name="Text">The generated text, without the prompt.</param>
public sealed record GeneratedText(string Prompt, string Text);
