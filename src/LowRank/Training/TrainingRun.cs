using System.Diagnostics;
using LowRank.Data;

namespace LowRank.Training;

/// <summary>A run in progress: its steps, evaluations and checkpoints.</summary>
internal sealed class TrainingRun : IDisposable
{
    private readonly IObjective objective;
    private readonly ITrainedWeights trained;
    private readonly TrainerOptions options;
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
    private const double ReadAfterSeconds = 0.5;
    private double secondsPerStep = ReadAfterSeconds; // of the steps that were read last
    private long? saved; // the step of the last written checkpoint
    private bool due;    // whether a checkpoint is to be written
    private string? problem; // what was not finite in the last step
    private long savedAt = Stopwatch.GetTimestamp(); // the time of the last checkpoint, or of the run's start

    public TrainingRun(
        IObjective objective, ITrainedWeights trained, TrainerOptions options, ITrainingObserver observer,
        RunFolder folder,
        IReadOnlyList<IExample> training, IReadOnlyList<IExample> validation)
    {
        (this.objective, this.trained, this.options, this.observer, this.folder, this.validation) =
            (objective, trained, options, observer, folder, validation);
        batches = new BatchPlan(
            training, options.BatchSize, options.GradientAccumulation, options.Shuffle, options.Seed,
            objective.Arranger);
        data = DataOrder.From(training, options);
        state = new RunState(options.PlannedSteps(batches.StepsPerEpoch));
        schedule = new LearningRateSchedule(
            options.Schedule, options.LearningRate, options.PlannedWarmup(state.TotalSteps), state.TotalSteps);
        evaluateEvery = validation.Count == 0 ? 0 : options.EvaluateEvery ?? batches.StepsPerEpoch;
        runner = new StepRunner(objective, trained, options);
        checkpoints = new CheckpointStore(folder, trained, runner.Optimizer, runner.Dropout, options.KeepCheckpoints);
        trained.Rules.Start(state.TotalSteps, options.LearningRate);
        _ = trained.Model?.Fingerprint; // computed for the base as opened, because its folder may change during the run
    }

    /// <summary>Loads the state of the newest intact checkpoint.</summary>
    /// <returns>Notes for the user.</returns>
    public IReadOnlyList<string> Resume()
    {
        var notes = new List<string>();
        state.Restore(checkpoints.RestoreNewest(data, state.TotalSteps, notes));
        return [.. notes, $"resumed after step {state.Step}"];
    }

    /// <summary>Trains to the end, or until the run is cancelled.</summary>
    public TrainingResult Run(IReadOnlyList<string>? resumed, CancellationToken cancellation)
    {
        observer.Started(
            new TrainingPlan(
                state.TotalSteps, data.Rows, trained.Weights.Sum(w => w.Value.numel()), TotalParameters(), folder.Path)
        {
            ResumedFrom = resumed is null ? null : state.Step,
            Notes = resumed ?? [],
        });
        RunEnding? ending;
        while ((ending = state.Ending(options, cancellation)) is null) Step();
        Read();
        // When a budget ends a run, its current state is evaluated. A signal does not wait for that.
        if (ending is RunEnding.TimeSpent or RunEnding.TokensSpent && evaluateEvery > 0
            && state.EvaluatedStep != state.Step)
            EvaluateAndKeepBest();
        if (ending != RunEnding.Cancelled) RequireNumbers();
        if (ending != RunEnding.Completed || due) Save(); // so the run can be resumed
        string output = WriteWeights(trained.FolderName);
        TrainingResult result = state.Result(ending.Value, output);
        observer.Finished(result);
        return result;
    }

    public void Dispose() => runner.Dispose();

    private void Step()
    {
        long next = state.Step + runner.QueuedSteps; // taken or queued before
        double rate = schedule.At(next);
        if (!runner.Queues)
        {
            Count(runner.Run(batches.Step(next), rate, next + 1));
            AfterSteps();
            return;
        }
        runner.Queue(batches.Step(next), rate);
        if (next + 1 - state.Step >= MostQueued(next + 1)) Read();
    }

    // How many steps may be queued before their outcomes are read. Reading waits for the device, so it happens about
    // twice a second, and where the run must know how it stands.
    private long MostQueued(long reached)
    {
        bool decides = reached == state.TotalSteps || state.SkippedInRow > 0 || options.MaxTokens is not null
            || options.MaxTime is not null || (evaluateEvery > 0 && reached % evaluateEvery == 0)
            || (options.SaveEvery is { } every && reached % every == 0);
        return decides ? 1 : Math.Clamp((long)(ReadAfterSeconds / secondsPerStep), 1, options.MaxSkippedSteps);
    }

    // Reads what was queued; what follows steps happens after the last of them.
    private void Read()
    {
        IReadOnlyList<StepOutcome> outcomes = runner.Read();
        if (outcomes.Count == 0) return;
        secondsPerStep = Math.Max(1e-6, outcomes[^1].Elapsed.TotalSeconds);
        foreach (StepOutcome outcome in outcomes) Count(outcome);
        AfterSteps();
    }

    private void Count(StepOutcome outcome)
    {
        double rate = schedule.At(state.Step);
        state.Count(outcome);
        problem = outcome.NonFinite;
        observer.Stepped(
            new TrainingStep(
                state.Step, outcome.Loss, outcome.GradientNorm, rate, outcome.Tokens, state.TokensPerSecond,
                state.Elapsed)
        {
            Skipped = outcome.NonFinite,
            SkippedSteps = state.Skipped,
            MemoryBytes = Kernels.ProcessMemory.ResidentBytes(),
            Metrics = outcome.Metrics,
        });
    }

    private void AfterSteps()
    {
        bool last = state.Step == state.TotalSteps;
        if (state.SkippedInRow >= options.MaxSkippedSteps || (last && runner.Optimizer.StepCount == 0))
            throw StepsDiverged();
        bool improved = evaluateEvery > 0 && (state.Step % evaluateEvery == 0 || last) && EvaluateAndKeepBest();
        due |= options.SaveEvery is { } every && (state.Step % every == 0 || last || improved);
        due |= options.SaveInterval is { } interval && !last && Stopwatch.GetElapsedTime(savedAt) >= interval;
        if (due && state.SkippedInRow == 0 && state.IsEvaluationFinite) Save();
    }

    // A run that ends with values that are not finite has not finished, whatever ended it. A single skipped step at the
    // end counts like any earlier one if the weights are sound; if it is the only step, nothing was learned.
    private void RequireNumbers()
    {
        if (state.SkippedInRow > 1 || (state.SkippedInRow == 1 && (state.Step == 1 || !IsSound())))
            throw StepsDiverged();
        if (!state.IsEvaluationFinite)
            throw new NonFiniteLossException(
                state.Step, new NonFiniteDiagnosis(objective, trained).OfHeldOut(validation, state, options, Kept()));
    }

    private bool IsSound() =>
        new NonFiniteDiagnosis(objective, trained).IsSound(batches.Step(state.Step - state.SkippedInRow - 1));

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
        // Weights that give values that are not finite do not replace older checkpoints.
        bool prunes = state.SkippedInRow == 0 && state.IsEvaluationFinite;
        checkpoints.Save(state.Counters(runner.Optimizer.StepCount, batches.StepsPerEpoch, data, schedule), prunes);
        (saved, due, savedAt) = (state.Step, false, Stopwatch.GetTimestamp());
    }

    private NonFiniteLossException StepsDiverged() =>
        new(state.Step, new NonFiniteDiagnosis(objective, trained).OfSteps(
        batches.Step(state.Step - 1), problem ?? "loss or gradient is not finite", state, options,
            schedule.At(state.Step - 1), Kept()));

    // What remains of a diverged run.
    private Words Kept()
    {
        long taken = state.Step - state.SkippedInRow; // the last step that changed the weights
        string kept = taken == 0 ? "nothing was learned, and no weights are written"
            : IsSound()
            ? $"kept: {WriteWeights(trained.FolderName)}, the weights after step {taken}, which still give finite " +
            "losses on its rows"
            : $"the weights after step {taken} give no finite numbers any more, and are not written";
        if (state.BestStep is { } best)
            kept += $"; {Path.Combine(folder.Path, RunFolder.Best)}, the lowest held-out loss, of step {best}";
        if (checkpoints.Newest() is { } newest)
            return Words.Of(
                $"{kept}; {newest}, from which the run can be resumed{KnownSettings.Resume.Aside}, for example with " +
                $"a lower learning rate");
        return Words.Plain(kept);
    }

    private string WriteWeights(string name)
    {
        string path = Path.Combine(folder.Path, name);
        bool Write()
        {
            folder.Verify();
            trained.Save(path);
            return true;
        }
        try
        {
            _ = folder.Waits is { } waits ? waits.Run(path, Write) : Write();
        }
        catch (Exception e) when (e is (IOException or UnauthorizedAccessException) and not RunStorageException)
        {
            throw new RunStorageException(
                $"The weights after step {state.Step} could not be written to {path}: {e.Message.TrimEnd('.')}. " +
                "The earlier files are unchanged.", e);
        }
        return path;
    }

    /// <summary>What remains of the run if it cannot write, and what to do.</summary>
    public Words Left() => checkpoints.Left();

    private long TotalParameters()
    {
        var known = objective.Network.Parameters.Values.ToHashSet(ReferenceEqualityComparer.Instance);
        return objective.Network.ParameterCount + trained.Weights.Where(w => !known.Contains(w.Value))
            .Sum(w => w.Value.numel());
    }
}
