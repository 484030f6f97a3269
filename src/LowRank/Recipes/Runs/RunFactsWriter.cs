using LowRank.Training;

namespace LowRank.Recipes.Runs;

/// <summary>Keeps <see cref="RunFacts"/> in a run's folder: when it begins, at checkpoints, and when it ends.</summary>
/// <param name="folder">The run's folder.</param>
/// <param name="facts">What is known before.</param>
/// <param name="waits">Waits while the disk is full; null does not.</param>
internal sealed class RunFactsWriter(string folder, RunFacts facts, StorageWait? waits = null) : ITrainingObserver
{
    private RunFacts facts = facts;
    private TrainingStep? last;

    public void Started(TrainingPlan plan)
    {
        facts = facts with
        {
            State = RunFacts.Running,
            PlannedSteps = plan.Steps,
            Steps = plan.ResumedFrom ?? 0,
            TrainedParameters = plan.TrainableParameters,
            TotalParameters = plan.TotalParameters,
        };
        facts.Write(folder, waits);
    }

    public void Stepped(TrainingStep step) => last = step;

    public void Evaluated(EvaluationResult evaluation)
    {
        // metrics.jsonl holds it.
    }

    public void Saving(long step) => (facts with { Steps = step, Seconds = last?.Elapsed.TotalSeconds }).Write(folder, waits);

    public void Finished(TrainingResult result) => (facts with
    {
        State = result.Steps < facts.PlannedSteps ? RunFacts.Stopped : RunFacts.Finished,
        Steps = result.Steps,
        Tokens = result.Tokens,
        Seconds = result.Elapsed.TotalSeconds,
        PeakMemoryBytes = result.PeakMemoryBytes,
    }).Write(folder, waits);
}
