namespace LowRank.Training;

/// <summary>What a run is going to do.</summary>
/// <param name="Steps">Optimizer steps in all, those of a resumed run included.</param>
/// <param name="Examples">Training examples.</param>
/// <param name="TrainableParameters">Numbers that are trained.</param>
/// <param name="TotalParameters">Numbers of the model and what is trained beside it.</param>
/// <param name="OutputFolder">The folder that receives everything.</param>
public sealed record TrainingPlan(long Steps, long Examples, long TrainableParameters, long TotalParameters, string OutputFolder)
{
    /// <summary>The step that a resumed run goes on after; null for a run from the start.</summary>
    public long? ResumedFrom { get; init; }

    /// <summary>What the user should know about the resuming, a sentence each.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];
}
