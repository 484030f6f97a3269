using static TorchSharp.torch;

namespace LowRank.Quantization;

/// <summary>NF4 with double quantisation: <see cref="Nf4"/>.</summary>
public sealed class Nf4Format : IWeightFormat
{
    internal const string FormatName = "nf4";

    /// <inheritdoc/>
    public string Name => FormatName;

    /// <inheritdoc/>
    public double BytesPerWeight => 0.5 + 1.0 / Nf4.BlockSize + 4.0 / (Nf4.BlockSize * Nf4.NestedBlockSize);

    /// <inheritdoc/>
    public bool IsWritable => true;

    /// <inheritdoc/>
    public PackedWeight Pack(Tensor matrix, ExpansionBuffer buffer) => new(Nf4.Quantize(matrix), buffer);
}
