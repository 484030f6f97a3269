using LowRank.Kernels;
using LowRank.Quantization;
using static TorchSharp.torch;

namespace LowRank.Models;

/// <summary>Random weights of which those of one shape are all alike: they are drawn once per shape, so that a model of
/// billions stands in seconds. Its outputs mean nothing; its time and memory are a real model's.</summary>
/// <param name="range">The config's initializer_range.</param>
/// <param name="seed">The same seed gives the same weights.</param>
/// <param name="format">The storage format for linear layers' weights; null leaves them in float32.</param>
/// <param name="compute">How products with the weights are computed.</param>
internal sealed class AlikeWeights(double range, long seed, IWeightFormat? format, ComputeType compute)
    : IWeightSource, IDisposable
{
    private readonly Generator generator = new Generator().manual_seed(seed);
    private readonly Dictionary<string, Tensor> drawn = [];

    /// <inheritdoc/>
    public string Description => "random weights";

    /// <inheritdoc/>
    public IReadOnlyCollection<string>? Names => null;

    /// <inheritdoc/>
    public IWeightFormat? Format => format;

    /// <inheritdoc/>
    public ComputeType Compute => compute;

    /// <inheritdoc/>
    public long[]? ShapeOf(string name, long[] expected) => expected;

    /// <inheritdoc/>
    public Tensor Read(string name, long[] shape)
    {
        if (shape.Length == 1) return name.EndsWith("bias", StringComparison.Ordinal) ? zeros(shape) : ones(shape);
        string key = string.Join('x', shape);
        if (!drawn.TryGetValue(key, out Tensor? known))
            drawn.Add(key, known = empty(shape).normal_(0, range, generator).DetachFromDisposeScope());
        return known.alias();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Tensor tensor in drawn.Values) tensor.Dispose();
        generator.Dispose();
    }
}
