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
    private UInt128 bytes;

    /// <inheritdoc/>
    public string Description => "random weights";

    /// <inheritdoc/>
    public IReadOnlyCollection<string>? Names => null;

    /// <inheritdoc/>
    public long[]? ShapeOf(string name, long[] expected) => expected;

    /// <inheritdoc/>
    public Tensor Read(string name, long[] shape)
    {
        bytes += shape.Aggregate((UInt128)sizeof(float), (product, size) => product * (ulong)size);
        if (bytes > (ulong)GC.GetGCMemoryInfo().TotalAvailableMemoryBytes)
            throw new InputException($"config.json asks for a model larger than this machine's memory ({bytes / 1_000_000_000} GB up to {name}, [{string.Join(", ", shape)}]). Check its sizes.");
        if (shape.Length == 1) return name.EndsWith("bias", StringComparison.Ordinal) ? zeros(shape) : ones(shape);
        return empty(shape).normal_(0, range, generator);
    }

    /// <inheritdoc/>
    public void Dispose() => generator.Dispose();
}
