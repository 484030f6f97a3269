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
    private bool due;    // whether a checkpoint is to be written

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
        RunEnding? ending;
        while ((ending = state.Ending(options, cancellation)) is null) Step();
        // A budget ends a run where it stands: what it has come to is measured. A signal does not wait for that.
        if (ending is RunEnding.TimeSpent or RunEnding.TokensSpent && evaluateEvery > 0 && state.EvaluatedStep != state.Step) EvaluateAndKeepBest();
        if (ending != RunEnding.Completed) Save(); // so that it can go on
        string output = WriteWeights(trained.FolderName);
        TrainingResult result = state.Result(ending.Value, output);
        observer.Finished(result);
        return result;
    }

    public void Dispose() => runner.Dispose();

    private void Step()
    {
        double rate = schedule.At(state.Step);
        StepBatches rows = batches.Step(state.Step);
        StepOutcome outcome = runner.Run(rows, rate, state.Step + 1);
        state.Count(outcome);
        observer.Stepped(new TrainingStep(state.Step, outcome.Loss, outcome.GradientNorm, rate, outcome.Tokens, state.TokensPerSecond, state.Elapsed)
        {
            Skipped = outcome.NonFinite,
            SkippedSteps = state.Skipped,
            MemoryBytes = Tensors.ProcessMemory.ResidentBytes(),
        });
        bool last = state.Step == state.TotalSteps;
        if (state.SkippedInRow >= options.MaxSkippedSteps || (last && runner.Optimizer.StepCount == 0)) throw Diverged(rows, outcome, rate);
        bool improved = evaluateEvery > 0 && (state.Step % evaluateEvery == 0 || last) && EvaluateAndKeepBest();
        due |= options.SaveEvery is { } every && (state.Step % every == 0 || last || improved);
        // Weights that give no numbers do not push older ones out of the checkpoints.
        if (due && (state.SkippedInRow == 0 || last)) Save();
    }

    private bool EvaluateAndKeepBest()
    {
        EvaluationResult result = Evaluation.Run(objective, validation, options.EvaluationBatchSize, state.Step);
        observer.Evaluated(result);
        if (!state.IsBest(result, options.MinDelta)) return false;
        WriteWeights(RunFolder.Best);
        return true;
    }

    private void Save()
    {
        if (saved == state.Step) return;
        observer.Saving(state.Step);
        checkpoints.Save(state.Counters(runner.Optimizer.StepCount, batches.StepsPerEpoch, data, schedule));
        (saved, due) = (state.Step, false);
    }

    private NonFiniteLossException Diverged(StepBatches rows, StepOutcome outcome, double rate)
    {
        var diagnosis = new NonFiniteDiagnosis(objective, trained);
        long taken = state.Step - state.SkippedInRow; // the last step that changed the weights
        string kept = taken == 0 ? "nothing was learned, and no weights are written"
            : diagnosis.IsSound(batches.Step(taken - 1)) ? $"kept: {WriteWeights(trained.FolderName)}, the weights after step {taken}, which still give finite losses on its rows"
            : $"the weights after step {taken} give no finite numbers any more, and are not written";
        if (state.BestStep is { } best) kept += $"; {Path.Combine(folder.Path, RunFolder.Best)}, the lowest held-out loss, of step {best}";
        if (checkpoints.Newest() is { } newest) kept += $"; {newest}, from which --resume goes on, with a lower training.learning_rate for one";
        return new NonFiniteLossException(state.Step, diagnosis.Describe(rows, outcome, state, options, rate, kept));
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
