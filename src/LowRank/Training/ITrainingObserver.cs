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

    /// <summary>After the last step, when everything is saved.</summary>
    void Finished(TrainingResult result);
}
