namespace LowRank.Training;

/// <summary>How the model does on held-out examples.</summary>
/// <param name="Step">Optimizer steps taken before it; 0 before training.</param>
/// <param name="Loss">Mean loss a predicted token, in nats.</param>
/// <param name="Tokens">Predicted tokens.</param>
public sealed record EvaluationResult(long Step, double Loss, long Tokens);
