using LowRank.Tensors;
using static TorchSharp.torch;

namespace LowRank.Models;

/// <summary>Weights mapped from a checkpoint.</summary>
public sealed class CheckpointWeights(Checkpoint checkpoint, string path) : IWeightSource
{
    /// <inheritdoc/>
    public string Description => path;

    /// <inheritdoc/>
    public IReadOnlyCollection<string> Names { get; } = [.. checkpoint.Entries.Keys];

    /// <inheritdoc/>
    public long[]? ShapeOf(string name, long[] expected) =>
        checkpoint.Entries.TryGetValue(name, out SafeTensorsEntry? entry) ? entry.Shape : null;

    /// <inheritdoc/>
    public Tensor Read(string name, long[] shape) => checkpoint.Map(name);
}
