using System.Diagnostics;

namespace LowRank.Training;

/// <summary>What a run has done so far.</summary>
internal sealed class RunState(long totalSteps)
{
    // steps over which the rate is averaged, so that it follows changes but does not jump
    private const int RateWindow = 20;
    private readonly Queue<(long Tokens, double Seconds)> recent = new();

    private readonly long started = Stopwatch.GetTimestamp();
    private TimeSpan earlier; // what the run had taken before it was resumed

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

    /// <summary>Whether the last evaluation gave a number; true before the first.</summary>
    public bool IsEvaluationFinite { get; private set; } = true;

    public int Waited { get; private set; }

    public double? LossToBeat { get; private set; }

    /// <summary>How long the run has gone on, evaluations and checkpoints included, also before a resume.</summary>
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

    /// <summary>Takes note of an evaluation.</summary>
    /// <param name="result">The evaluation.</param>
    /// <param name="minDelta">By how much it must be lower to count as better for early stopping.</param>
    /// <returns>Whether it is the best so far.</returns>
    public bool IsBest(EvaluationResult result, double minDelta)
    {
        (EvaluatedStep, IsEvaluationFinite) = (result.Step, double.IsFinite(result.Loss));
        // Many small gains together count: the loss to beat stays until one evaluation is lower by enough.
        if (result.Loss < (LossToBeat ?? double.PositiveInfinity) - minDelta) (LossToBeat, Waited) = (result.Loss, 0);
        else Waited++;
        // A loss that is no number is no best one.
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

    /// <summary>Why the run has to end here; null when it goes on.</summary>
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

/// <summary>Why a run came to its end.</summary>
public enum RunEnding
{
    /// <summary>All its steps were taken.</summary>
    Completed,

    /// <summary>It was told to stop; a checkpoint to resume from is saved.</summary>
    Cancelled,

    /// <summary>The held-out loss had not improved for <see cref="TrainerOptions.Patience"/> evaluations.</summary>
    NoImprovement,

    /// <summary>It had used <see cref="TrainerOptions.MaxTime"/>.</summary>
    TimeSpent,

    /// <summary>It had used <see cref="TrainerOptions.MaxTokens"/>.</summary>
    TokensSpent,
}
