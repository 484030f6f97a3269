namespace LowRank.Training;

/// <summary>What a run has done so far.</summary>
internal sealed class RunState(long totalSteps)
{
    private const int RateWindow = 20; // steps over which the rate is averaged, so that it follows changes but does not jump
    private readonly Queue<(long Tokens, double Seconds)> recent = new();

    public long TotalSteps { get; } = totalSteps;

    public long Step { get; private set; }

    public long Tokens { get; private set; }

    public double? LastLoss { get; private set; }

    public double? BestLoss { get; private set; }

    public long? BestStep { get; private set; }

    public TimeSpan Elapsed { get; private set; }

    public double TokensPerSecond { get; private set; }

    public void Count(long tokens, double loss, TimeSpan elapsed)
    {
        Step++;
        Tokens += tokens;
        LastLoss = loss;
        Elapsed += elapsed;
        recent.Enqueue((tokens, elapsed.TotalSeconds));
        if (recent.Count > RateWindow) recent.Dequeue();
        TokensPerSecond = recent.Sum(r => r.Tokens) / Math.Max(1e-9, recent.Sum(r => r.Seconds));
    }

    public bool IsBest(EvaluationResult result)
    {
        // A loss that is no number is no best one.
        if (!(result.Loss < (BestLoss ?? double.PositiveInfinity))) return false;
        (BestLoss, BestStep) = (result.Loss, result.Step);
        return true;
    }

    public CheckpointCounters Counters(long optimizerSteps, long stepsPerEpoch, DataOrder data, LearningRateSchedule schedule) => new()
    {
        Step = Step,
        TotalSteps = TotalSteps,
        OptimizerSteps = optimizerSteps,
        Tokens = Tokens,
        Seconds = Elapsed.TotalSeconds,
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
        Elapsed = TimeSpan.FromSeconds(counters.Seconds);
    }

    public TrainingResult Result(string savedFolder) =>
        new(Step, LastLoss, BestStep, BestLoss, Tokens, Elapsed, Tensors.ProcessMemory.PeakBytes(), savedFolder);
}
