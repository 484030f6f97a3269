namespace LowRank.Cli.Bench.Attention;

/// <summary>Times of one call of attention, the fastest of all rounds, by the tiles and by torch's operations.</summary>
/// <param name="Shape">What it was over.</param>
/// <param name="Forward">Seconds forward, with what the backward pass needs.</param>
/// <param name="Backward">Seconds backward, to one gradient of queries, keys and values together.</param>
/// <param name="Evaluation">Seconds forward without gradients.</param>
/// <param name="TorchForward">As <paramref name="Forward"/>.</param>
/// <param name="TorchBackward">As <paramref name="Backward"/>.</param>
/// <param name="TorchEvaluation">As <paramref name="Evaluation"/>.</param>
internal sealed record AttentionTimes(AttentionShape Shape, double Forward, double Backward, double Evaluation, double TorchForward, double TorchBackward, double TorchEvaluation);
