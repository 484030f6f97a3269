using System.Text.Json.Serialization;

namespace LowRank.Cli.Bench.Growth;

/// <summary>A short training run in a process of its own.</summary>
/// <param name="Rows">Rows of its data.</param>
/// <param name="Tokens">Tokens of a step.</param>
/// <param name="Weights">Weights of the model, the adapter's left out.</param>
/// <param name="PeakBytes">Most memory the process held.</param>
/// <param name="StepNanoseconds">Processor time of the fastest step, which one thread computes: other programs change it least.</param>
internal sealed record GrowthPoint(int Rows, long Tokens, long Weights, long PeakBytes, double StepNanoseconds)
{
    /// <summary>The peak less the weights, which are float32 and mapped.</summary>
    [JsonPropertyOrder(1)]
    public long PeakAboveWeightsBytes => PeakBytes - sizeof(float) * Weights;
}
