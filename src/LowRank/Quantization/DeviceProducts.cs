using LowRank.Kernels;
using static TorchSharp.torch;

namespace LowRank.Quantization;

/// <summary>Products with a packed matrix on a device: expands, uses and frees as many rows at a time as a limit
/// allows.</summary>
/// <param name="matrix">The matrix.</param>
/// <param name="compute">How products are computed.</param>
internal sealed class DeviceProducts(IDeviceMatrix matrix, ComputeType compute)
{
    // 128 MB: larger than for the processor, because a device is only busy with large products
    private const long ChunkValues = 32L << 20;

    /// <summary>The matrix in float32, in the caller's dispose scope.</summary>
    public Tensor Expand() => matrix.Expand(0, matrix.Rows);

    /// <summary>x·Wᵀ + b.</summary>
    /// <param name="input">[n, in]</param>
    /// <param name="bias">[out], or null.</param>
    /// <returns>[n, out], in the caller's dispose scope.</returns>
    public Tensor Product(Tensor input, Tensor? bias)
    {
        var parts = new List<Tensor>();
        EachChunk((first, chunk) =>
            parts.Add(compute.Linear(input, chunk, bias?.narrow(0, first, chunk.shape[0])).MoveToOuterDisposeScope()));
        return parts is [var whole] ? whole : cat(parts, 1);
    }

    /// <summary>y·W.</summary>
    /// <param name="gradient">[n, out]</param>
    /// <returns>[n, in], in the caller's dispose scope.</returns>
    public Tensor BackProduct(Tensor gradient)
    {
        Tensor? sum = null;
        Tensor prepared = gradient.to(compute.MatrixType());
        EachChunk((first, chunk) =>
        {
            Tensor part = matmul(prepared.narrow(1, first, chunk.shape[0]), chunk.to(compute.MatrixType()))
                .to(ScalarType.Float32);
            if (sum is null) sum = part.MoveToOuterDisposeScope();
            else sum.add_(part, Number(1));
        });
        return sum!;
    }

    private void EachChunk(Action<long, Tensor> use)
    {
        if (compute != ComputeType.Float32 && matrix.Halves is { } whole)
        {
            using var only = NewDisposeScope();
            use(0, whole);
            return;
        }
        long align = matrix.RowAlignment, rows = Math.Max(align, ChunkValues / matrix.Columns / align * align);
        for (long first = 0; first < matrix.Rows; first += rows)
        {
            using var scope = NewDisposeScope();
            use(first, matrix.Expand(first, Math.Min(rows, matrix.Rows - first)));
        }
    }
}

/// <summary>A packed matrix on a device other than the processor, expanded there with torch's operations.</summary>
internal interface IDeviceMatrix : IFrozenMatrix
{
    /// <summary>The first row of an expansion must be a multiple of this.</summary>
    long RowAlignment { get; }

    /// <summary>Some rows in float32, with the same values as <see cref="IPackedMatrix.Expand"/>.</summary>
    /// <param name="first">The first row, a multiple of <see cref="RowAlignment"/>.</param>
    /// <param name="rows">Number of rows.</param>
    /// <returns>[rows, columns], in the caller's dispose scope.</returns>
    Tensor Expand(long first, long rows);
}
