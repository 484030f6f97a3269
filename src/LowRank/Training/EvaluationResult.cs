namespace LowRank.Training;

/// <summary>How the model does on held-out examples.</summary>
/// <param name="Step">Optimizer steps taken before it; 0 before training.</param>
/// <param name="Loss">Mean loss a predicted label (a token, or a text for tasks that label texts), in nats; a squared error
/// for regression.</param>
/// <param name="Tokens">Predicted labels.</param>
public sealed record EvaluationResult(long Step, double Loss, long Tokens)
{
    /// <summary>The task's metrics by name; empty where the loss is all.</summary>
    public IReadOnlyDictionary<string, double?> Metrics { get; init; } = new Dictionary<string, double?>();

    /// <summary>What the model wrote then; empty where the run does not ask it to.</summary>
    public IReadOnlyList<GeneratedText> Generations { get; init; } = [];
}
