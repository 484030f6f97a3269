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

    /// <summary>Before a checkpoint is written: what was told so far must outlast a loss of power, as the checkpoint will.</summary>
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
