using LowRank.Data;

namespace LowRank.Training;

/// <summary>A run under way: its steps, evaluations and checkpoints.</summary>
internal sealed class TrainingRun : IDisposable
{
    private readonly IObjective objective;
    private readonly ITrainedWeights trained;
    private readonly TrainingOptions options;
    private readonly ITrainingObserver observer;
    private readonly RunFolder folder;
    private readonly IReadOnlyList<IExample> validation;
    private readonly BatchPlan batches;
    private readonly DataOrder data;
    private readonly RunState state;
    private readonly LearningRateSchedule schedule;
    private readonly StepRunner runner;
    private readonly CheckpointStore checkpoints;
    private readonly long evaluateEvery;
    private long? saved; // the step of the checkpoint that was written last

    public TrainingRun(IObjective objective, ITrainedWeights trained, TrainingOptions options, ITrainingObserver observer, RunFolder folder,
        IReadOnlyList<IExample> training, IReadOnlyList<IExample> validation)
    {
        (this.objective, this.trained, this.options, this.observer, this.folder, this.validation) = (objective, trained, options, observer, folder, validation);
        batches = new BatchPlan(training, options.BatchSize, options.GradientAccumulation, options.Shuffle, options.Seed, objective.Arranger);
        data = DataOrder.Of(training, options);
        state = new RunState(options.PlannedSteps(batches.StepsPerEpoch));
        schedule = new LearningRateSchedule(options.Schedule, options.LearningRate, options.PlannedWarmup(state.TotalSteps), state.TotalSteps);
        evaluateEvery = validation.Count == 0 ? 0 : options.EvaluateEvery ?? batches.StepsPerEpoch;
        runner = new StepRunner(objective, trained, options);
        checkpoints = new CheckpointStore(folder, trained, runner.Optimizer, runner.Dropout, options.KeepCheckpoints);
        trained.Rules.Start(state.TotalSteps, options.LearningRate);
    }

    /// <summary>Takes the state of the newest whole checkpoint.</summary>
    /// <returns>What the user should know about it.</returns>
    public IReadOnlyList<string> Resume()
    {
        var notes = new List<string>();
        state.Restore(checkpoints.RestoreNewest(data, state.TotalSteps, notes));
        return [.. notes, $"resumed after step {state.Step}"];
    }

    /// <summary>Trains to the end, or until it is cancelled.</summary>
    public TrainingResult Run(IReadOnlyList<string>? resumed, CancellationToken cancellation)
    {
        observer.Started(new TrainingPlan(state.TotalSteps, data.Rows, trained.Weights.Sum(w => w.Value.numel()), TotalParameters(), folder.Path)
        {
            ResumedFrom = resumed is null ? null : state.Step,
            Notes = resumed ?? [],
        });
        while (state.Step < state.TotalSteps && !cancellation.IsCancellationRequested) Step();
        if (cancellation.IsCancellationRequested) Save();
        string output = WriteWeights(trained.FolderName);
        TrainingResult result = state.Result(output);
        observer.Finished(result);
        return result;
    }

    public void Dispose() => runner.Dispose();

    private void Step()
    {
        double rate = schedule.At(state.Step);
        StepOutcome outcome = runner.Run(batches.Step(state.Step), rate, state.Step + 1);
        state.Count(outcome.Tokens, outcome.Loss, outcome.Elapsed);
        observer.Stepped(new TrainingStep(state.Step, outcome.Loss, outcome.GradientNorm, rate, outcome.Tokens, state.TokensPerSecond, state.Elapsed));
        bool last = state.Step == state.TotalSteps;
        bool improved = evaluateEvery > 0 && (state.Step % evaluateEvery == 0 || last) && EvaluateAndKeepBest();
        if (options.SaveEvery is { } every && (state.Step % every == 0 || last || improved)) Save();
    }

    private bool EvaluateAndKeepBest()
    {
        EvaluationResult result = Evaluation.Run(objective, validation, options.EvaluationBatchSize, state.Step);
        observer.Evaluated(result);
        if (!state.IsBest(result)) return false;
        WriteWeights(RunFolder.Best);
        return true;
    }

    private void Save()
    {
        if (saved == state.Step) return;
        observer.Saving(state.Step);
        checkpoints.Save(state.Counters(runner.Optimizer.StepCount, batches.StepsPerEpoch, data, schedule));
        saved = state.Step;
    }

    private string WriteWeights(string name)
    {
        string path = Path.Combine(folder.Path, name);
        folder.Verify();
        try
        {
            trained.Save(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RunStorageException($"The weights after step {state.Step} could not be written to {path}: {e.Message.TrimEnd('.')}. " +
                "What was there before is as it was. See that the disk is there, has space and may be written to, and go on with --resume.", e);
        }
        return path;
    }

    private long TotalParameters()
    {
        var known = objective.Network.Parameters.Values.ToHashSet(ReferenceEqualityComparer.Instance);
        return objective.Network.ParameterCount + trained.Weights.Where(w => !known.Contains(w.Value)).Sum(w => w.Value.numel());
    }
}
