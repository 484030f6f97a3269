using System.Diagnostics;

namespace LowRank.Training;

/// <summary>The progress of a run.</summary>
internal sealed class RunState(long totalSteps)
{
    // number of steps over which the speed is averaged: it follows changes but does not jump
    private const int RateWindow = 20;
    private readonly Queue<(long Tokens, double Seconds)> recent = new();

    private readonly long started = Stopwatch.GetTimestamp();
    private TimeSpan earlier; // the duration before the run was resumed

    public long TotalSteps { get; } = totalSteps;

    public long Step { get; private set; }

    public long Tokens { get; private set; }

    public double? LastLoss { get; private set; }

    public double? BestLoss { get; private set; }

    public long? BestStep { get; private set; }

    public TimeSpan Elapsed { get; private set; }

    public double TokensPerSecond { get; private set; }

    public long Skipped { get; private set; }

    public long SkippedInRow { get; private set; }

    public long? EvaluatedStep { get; private set; }

    /// <summary>Whether the last evaluation was finite; true before the first.</summary>
    public bool IsEvaluationFinite { get; private set; } = true;

    public int Waited { get; private set; }

    public double? LossToBeat { get; private set; }

    /// <summary>The duration of the run, including evaluations, checkpoints and the time before a resume.</summary>
    public TimeSpan RunTime => earlier + Stopwatch.GetElapsedTime(started);

    public void Count(StepOutcome outcome)
    {
        Step++;
        Tokens += outcome.Tokens;
        Elapsed += outcome.Elapsed;
        if (outcome.NonFinite is null) (LastLoss, SkippedInRow) = (outcome.Loss, 0);
        else (Skipped, SkippedInRow) = (Skipped + 1, SkippedInRow + 1);
        recent.Enqueue((outcome.Tokens, outcome.Elapsed.TotalSeconds));
        if (recent.Count > RateWindow) recent.Dequeue();
        TokensPerSecond = recent.Sum(r => r.Tokens) / Math.Max(1e-9, recent.Sum(r => r.Seconds));
    }

    /// <summary>Records an evaluation.</summary>
    /// <param name="result">The evaluation.</param>
    /// <param name="minDelta">How much lower the loss must be to count as better for early stopping.</param>
    /// <returns>Whether it is the best so far.</returns>
    public bool IsBest(EvaluationResult result, double minDelta)
    {
        (EvaluatedStep, IsEvaluationFinite) = (result.Step, double.IsFinite(result.Loss));
        // Small gains add up: the loss to beat stays until an evaluation is lower by enough.
        if (result.Loss < (LossToBeat ?? double.PositiveInfinity) - minDelta) (LossToBeat, Waited) = (result.Loss, 0);
        else Waited++;
        // A NaN is never the best loss.
        if (!(result.Loss < (BestLoss ?? double.PositiveInfinity))) return false;
        (BestLoss, BestStep) = (result.Loss, result.Step);
        return true;
    }

    public CheckpointCounters Counters(
        long optimizerSteps, long stepsPerEpoch, DataOrder data, LearningRateSchedule schedule) => new()
    {
        Step = Step,
        TotalSteps = TotalSteps,
        OptimizerSteps = optimizerSteps,
        Tokens = Tokens,
        Seconds = Elapsed.TotalSeconds,
        RunSeconds = RunTime.TotalSeconds,
        Skipped = Skipped,
        SkippedInRow = SkippedInRow,
        EvaluatedStep = EvaluatedStep,
        Waited = Waited,
        LossToBeat = LossToBeat,
        LastLoss = LastLoss,
        BestLoss = BestLoss,
        BestStep = BestStep,
        Data = data,
        Epoch = Step / stepsPerEpoch,
        StepOfEpoch = Step % stepsPerEpoch,
        Schedule = schedule,
    };

    public void Restore(CheckpointCounters counters)
    {
        (Step, Tokens, LastLoss) = (counters.Step, counters.Tokens, counters.LastLoss);
        (BestLoss, BestStep) = (counters.BestLoss, counters.BestStep);
        (Skipped, SkippedInRow) = (counters.Skipped, counters.SkippedInRow);
        (EvaluatedStep, Waited, LossToBeat) = (counters.EvaluatedStep, counters.Waited, counters.LossToBeat);
        Elapsed = TimeSpan.FromSeconds(counters.Seconds);
        earlier = TimeSpan.FromSeconds(counters.RunSeconds);
    }

    /// <summary>Why the run must end here; null if it continues.</summary>
    public RunEnding? Ending(TrainerOptions options, CancellationToken cancellation) =>
        Step >= TotalSteps ? RunEnding.Completed
        : cancellation.IsCancellationRequested ? RunEnding.Cancelled
        : Waited >= options.Patience ? RunEnding.NoImprovement
        : Tokens >= options.MaxTokens ? RunEnding.TokensSpent
        : RunTime >= options.MaxTime ? RunEnding.TimeSpent
        : null;

    public TrainingResult Result(RunEnding ending, string savedFolder) =>
        new(Step, LastLoss, BestStep, BestLoss, Tokens, Elapsed, Kernels.ProcessMemory.PeakBytes(),
            savedFolder) { Ending = ending, SkippedSteps = Skipped };
}

/// <summary>Why a run ended.</summary>
public enum RunEnding
{
    /// <summary>All steps were taken.</summary>
    Completed,

    /// <summary>The run was asked to stop; a checkpoint to resume from was saved.</summary>
    Cancelled,

    /// <summary>The held-out loss had not improved for <see cref="TrainerOptions.Patience"/> evaluations.</summary>
    NoImprovement,

    /// <summary><see cref="TrainerOptions.MaxTime"/> was used up.</summary>
    TimeSpent,

    /// <summary><see cref="TrainerOptions.MaxTokens"/> was used up.</summary>
    TokensSpent,
}
