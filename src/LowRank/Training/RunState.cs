namespace LowRank.Training;

/// <summary>What a run has done so far.</summary>
internal sealed class RunState(long totalSteps)
{
    private const int RateWindow = 20; // steps over which the rate is averaged, so that it follows changes but does not jump
    private readonly Queue<(long Tokens, double Seconds)> recent = new();

    public long TotalSteps { get; } = totalSteps;

    public long Step { get; set; }

    public long Tokens { get; set; }

    public double? LastLoss { get; private set; }

    public double? BestLoss { get; set; }

    public long? BestStep { get; set; }

    public TimeSpan Elapsed { get; set; }

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
        if (BestLoss is { } best && result.Loss >= best) return false;
        (BestLoss, BestStep) = (result.Loss, result.Step);
        return true;
    }

    public TrainingResult Result(string savedFolder) =>
        new(Step, LastLoss, BestStep, BestLoss, Tokens, Elapsed, Tensors.ProcessMemory.PeakBytes(), savedFolder);
}
