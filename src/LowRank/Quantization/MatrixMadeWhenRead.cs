using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Quantization;

/// <summary>A matrix that is packed whenever its values are read, so that a model larger than memory can be merged as
/// it would be quantised.</summary>
/// <param name="format">The format's name.</param>
/// <param name="rows">Number of the layer's outputs.</param>
/// <param name="columns">Number of the layer's inputs.</param>
/// <param name="make">Packs it; the caller disposes of the result.</param>
internal sealed class MatrixMadeWhenRead(string format, long rows, long columns, Func<PackedWeight> make)
    : IDeviceMatrix
{
    /// <inheritdoc/>
    public string Format => format;

    /// <inheritdoc/>
    public long Rows => rows;

    /// <inheritdoc/>
    public long Columns => columns;

    /// <inheritdoc/>
    public long Bytes => 0;

    /// <inheritdoc/>
    public long RowAlignment => 1;

    /// <inheritdoc/>
    public Tensor Expand(long first, long count)
    {
        using var scope = NewDisposeScope();
        using PackedWeight made = make();
        return made.Expand().narrow(0, first, count).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        // It keeps nothing.
    }
}
