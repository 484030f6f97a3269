using static TorchSharp.torch;

namespace LowRank.Quantization;

/// <summary>A packed matrix on another device than the processor, expanded there by torch's operations.</summary>
internal interface IDeviceMatrix : IFrozenMatrix
{
    /// <summary>What the first row of an expansion is a multiple of.</summary>
    long RowAlignment { get; }

    /// <summary>Some rows in float32: the numbers that <see cref="IPackedMatrix.Expand"/> gives.</summary>
    /// <param name="first">The first row, a multiple of <see cref="RowAlignment"/>.</param>
    /// <param name="rows">How many.</param>
    /// <returns>[rows, columns], in the caller's dispose scope.</returns>
    Tensor Expand(long first, long rows);
}
