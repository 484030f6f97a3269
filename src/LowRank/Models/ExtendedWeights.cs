using LowRank.Quantization;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models;

/// <summary>Weights of a checkpoint with more rows in the tables over the vocabulary: each new row is the mean of those stored.</summary>
/// <remarks>A new token then begins as the average of all others: scored and read like none in particular (J. Hewitt,
/// Initializing New Word Embeddings for Pretrained Language Models, 2021; transformers draws from nearly the same point).</remarks>
/// <param name="stored">The checkpoint's weights.</param>
/// <param name="rows">Rows of its tables over the vocabulary.</param>
/// <param name="wanted">Rows that the model has.</param>
internal sealed class ExtendedWeights(IWeightSource stored, int rows, int wanted) : IWeightSource
{
    public string Description => stored.Description;

    public IReadOnlyCollection<string>? Names => stored.Names;

    public IWeightFormat? Format => stored.Format;

    public bool Expands => stored.Expands;

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
        Tensor whole = cat([wide, mean.expand([wanted - rows, .. shape[1..]])], 0).to(table.dtype).MoveToOuterDisposeScope();
        table.Dispose();
        return whole;
    }

    private bool IsExtended(long[] found, long[] expected) => found.Length == expected.Length && found.Length > 0
        && found[0] == rows && expected[0] == wanted && found.AsSpan(1).SequenceEqual(expected.AsSpan(1));
}
