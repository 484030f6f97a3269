using LowRank.Quantization;
using LowRank.Tensors;
using static TorchSharp.torch;

namespace LowRank.Models;

/// <summary>Weights mapped from a checkpoint.</summary>
/// <param name="checkpoint">The checkpoint.</param>
/// <param name="path">Its path, for messages.</param>
/// <param name="format">How the weights of linear layers are to be kept; null as they are.</param>
/// <param name="expands">Whether weights that the checkpoint holds packed are to be expanded.</param>
public sealed class CheckpointWeights(Checkpoint checkpoint, string path, IWeightFormat? format = null, bool expands = false) : IWeightSource
{
    private readonly IReadOnlyDictionary<string, StoredMatrix> quantized = BitsAndBytesReader.Read(checkpoint);
    private IReadOnlyCollection<string>? names;

    /// <inheritdoc/>
    public string Description => path;

    /// <summary>The weights it holds packed, by name.</summary>
    public IReadOnlyDictionary<string, StoredMatrix> QuantizedWeights => quantized;

    /// <inheritdoc/>
    public IReadOnlyCollection<string> Names => names ??= [.. checkpoint.Entries.Keys.Except(quantized.SelectMany(matrix => matrix.Value.Names.Where(name => name != matrix.Key)))];

    /// <inheritdoc/>
    public IWeightFormat? Format => format;

    /// <inheritdoc/>
    public bool Expands => expands;

    /// <inheritdoc/>
    public long[]? ShapeOf(string name, long[] expected) =>
        checkpoint.Entries.TryGetValue(name, out SafeTensorsEntry? entry) ? entry.Shape : null;

    /// <inheritdoc/>
    public Tensor Read(string name, long[] shape) => checkpoint.Map(name);

    /// <inheritdoc/>
    public StoredMatrix? Quantized(string name) => quantized.GetValueOrDefault(name);

    /// <inheritdoc/>
    public void Release(string name) => checkpoint.Release(name);
}
