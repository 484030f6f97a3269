using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Quantization;

/// <summary>The upper half of a float32. Weights that the file has so stay mapped from it; others are rounded to the nearest.</summary>
public sealed class BFloat16Format : IWeightFormat
{
    internal const string FormatName = "bfloat16";

    /// <inheritdoc/>
    public string Name => FormatName;

    /// <inheritdoc/>
    public double BytesPerWeight => 2;

    /// <inheritdoc/>
    public bool IsWritable => false;

    /// <inheritdoc/>
    public PackedWeight Pack(Tensor matrix, ExpansionBuffer buffer)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        Tensor half = matrix.detach().cpu().to(ScalarType.BFloat16).contiguous();
        // alias: contiguous may be the tensor itself, which the caller disposes of; the memory stays while one of them lives.
        return new PackedWeight(new BFloat16Matrix(half.alias().DetachFromDisposeScope()), buffer);
    }
}
