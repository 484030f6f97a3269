using LowRank.IO;
using LowRank.Kernels;
using LowRank.Quantization;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models;

/// <summary>The source of a model's weights: a checkpoint or a random generator.</summary>
internal interface IWeightSource
{
    /// <summary>A description for messages: the checkpoint's path, or what is generated.</summary>
    string Description { get; }

    /// <summary>The tensor names in this source; null if it can generate any.</summary>
    IReadOnlyCollection<string>? Names { get; }

    /// <summary>The shape stored under a name; null if the source has no such tensor.</summary>
    /// <param name="name">The full tensor name.</param>
    /// <param name="expected">The shape that the model needs; a source that generates weights adopts it.</param>
    long[]? ShapeOf(string name, long[] expected);

    /// <summary>The tensor in the source's dtype; the caller owns it.</summary>
    Tensor Read(string name, long[] shape);

    /// <summary>The storage format for linear layers' weights; null leaves them in float32.</summary>
    IWeightFormat? Format => null;

    /// <summary>The storage format for the output head's weight; null leaves it in float32.</summary>
    IWeightFormat? HeadFormat => null;

    /// <summary>Whether to expand weights that the source stores packed.</summary>
    bool Expands => false;

    /// <summary>How products with the weights are computed.</summary>
    ComputeType Compute => ComputeType.Float32;

    /// <summary>Whether weights stay as they are stored, mapped from the file, and those that are to be packed are
    /// packed whenever they are read: for a model that computes nothing.</summary>
    bool KeepsStored => false;

    /// <summary>The packed weight with a name; null if the source does not store it packed.</summary>
    StoredMatrix? Quantized(string name) => null;

    /// <summary>Reports that a weight has been read and is no longer needed, so that its pages may be
    /// released.</summary>
    void Release(string name)
    {
        // Only a mapped file has something to release.
    }
}

/// <summary>Weights mapped from a checkpoint.</summary>
/// <param name="checkpoint">The checkpoint.</param>
/// <param name="path">Its path, for messages.</param>
/// <param name="format">The storage format for linear layers' weights; null leaves them unchanged.</param>
/// <param name="expands">Whether to expand weights that the checkpoint stores packed.</param>
internal sealed class CheckpointWeights(
    Checkpoint checkpoint, string path, IWeightFormat? format = null, bool expands = false) : IWeightSource
{
    private readonly IReadOnlyDictionary<string, StoredMatrix> quantized = BitsAndBytesReader.Read(checkpoint);
    private IReadOnlyCollection<string>? names;

    /// <inheritdoc/>
    public string Description => path;

    /// <summary>Its packed weights, by name.</summary>
    public IReadOnlyDictionary<string, StoredMatrix> QuantizedWeights => quantized;

    /// <inheritdoc/>
    public IReadOnlyCollection<string> Names =>
        names ??=
        [.. checkpoint.Entries.Keys.Except(
            quantized.SelectMany(matrix => matrix.Value.Names.Where(name => name != matrix.Key)))];

    /// <inheritdoc/>
    public IWeightFormat? Format => format;

    /// <inheritdoc/>
    public bool Expands => expands;

    /// <inheritdoc/>
    public IWeightFormat? HeadFormat { get; init; }

    /// <inheritdoc/>
    public ComputeType Compute { get; init; }

    /// <inheritdoc/>
    public bool KeepsStored { get; init; }

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

/// <summary>A checkpoint's weights with additional rows in the vocabulary tables: each new row is the mean of the
/// stored rows.</summary>
/// <remarks>A new token then starts as the average of all others, so the model treats it as no token in particular (J.
/// Hewitt, Initializing New Word Embeddings for Pretrained Language Models, 2021; transformers draws from nearly the
/// same point).</remarks>
/// <param name="stored">The checkpoint's weights.</param>
/// <param name="rows">Number of stored rows in the vocabulary tables.</param>
/// <param name="wanted">Number of rows in the model.</param>
internal sealed class ExtendedWeights(IWeightSource stored, int rows, int wanted) : IWeightSource
{
    public string Description => stored.Description;

    public IReadOnlyCollection<string>? Names => stored.Names;

    public IWeightFormat? Format => stored.Format;

    public IWeightFormat? HeadFormat => stored.HeadFormat;

    public bool Expands => stored.Expands;

    public ComputeType Compute => stored.Compute;

    public bool KeepsStored => stored.KeepsStored;

    public StoredMatrix? Quantized(string name) => stored.Quantized(name);

    public void Release(string name) => stored.Release(name);

    public long[]? ShapeOf(string name, long[] expected)
    {
        long[]? shape = stored.ShapeOf(name, expected);
        return shape is not null && IsExtended(shape, expected) ? expected : shape;
    }

    public Tensor Read(string name, long[] shape)
    {
        Tensor table = stored.Read(name, shape);
        if (!IsExtended(table.shape, shape)) return table;
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        Tensor wide = table.to(ScalarType.Float32);
        Tensor mean = wide.mean([0], keepdim: true);
        Tensor whole = cat([wide, mean.expand([wanted - rows, .. shape[1..]])], 0).to(table.dtype)
            .MoveToOuterDisposeScope();
        table.Dispose();
        return whole;
    }

    private bool IsExtended(long[] found, long[] expected) => found.Length == expected.Length && found.Length > 0
        && found[0] == rows && expected[0] == wanted && found.AsSpan(1).SequenceEqual(expected.AsSpan(1));
}

/// <summary>Randomly initialised weights, as in transformers: matrices are normal with standard deviation
/// <paramref name="range"/>, norms one, biases zero.</summary>
/// <param name="range">The config's initializer_range.</param>
/// <param name="seed">The same seed gives the same weights.</param>
internal sealed class RandomWeights(double range, long seed) : IWeightSource, IDisposable
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
            throw new InputException(
                $"config.json asks for a model larger than this machine's memory ({bytes / 1_000_000_000} GB up to " +
                $"{name}, [{string.Join(", ", shape)}]). Check its sizes.");
        if (shape.Length == 1) return name.EndsWith("bias", StringComparison.Ordinal) ? zeros(shape) : ones(shape);
        return empty(shape).normal_(0, range, generator);
    }

    /// <inheritdoc/>
    public void Dispose() => generator.Dispose();
}
