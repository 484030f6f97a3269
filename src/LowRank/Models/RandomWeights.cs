using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models;

/// <summary>Freshly drawn weights, as transformers initialises them: matrices normal with standard deviation
/// <paramref name="range"/>, norms one, biases zero.</summary>
/// <param name="range">The config's initializer_range.</param>
/// <param name="seed">The same seed gives the same weights.</param>
public sealed class RandomWeights(double range, long seed) : IWeightSource, IDisposable
{
    private readonly Generator generator = new Generator().manual_seed(seed);

    /// <inheritdoc/>
    public string Description => "random weights";

    /// <inheritdoc/>
    public IReadOnlyCollection<string>? Names => null;

    /// <inheritdoc/>
    public long[]? ShapeOf(string name, long[] expected) => expected;

    /// <inheritdoc/>
    public Tensor Read(string name, long[] shape)
    {
        if (shape.Length == 1) return name.EndsWith("bias", StringComparison.Ordinal) ? zeros(shape) : ones(shape);
        return empty(shape).normal_(0, range, generator);
    }

    /// <inheritdoc/>
    public void Dispose() => generator.Dispose();
}
