using static TorchSharp.torch;

namespace LowRank.Adapters.Methods;

/// <summary>What is written for an adapter.</summary>
/// <param name="Config">The config.</param>
/// <param name="Weights">The tensors by their keys.</param>
internal sealed record AdapterExport(LoraConfig Config, IReadOnlyList<KeyValuePair<string, Tensor>> Weights);
