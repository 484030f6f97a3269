using static TorchSharp.torch;

namespace LowRank.Quantization;

/// <summary>A packed matrix in the processor's memory. Its methods may run on several threads at once.</summary>
internal unsafe interface IPackedMatrix : IFrozenMatrix
{
    /// <summary>Whether <see cref="Multiply"/> works for its shape.</summary>
    bool CanMultiply { get; }

    /// <summary>Writes values as float32.</summary>
    /// <param name="first">The first value, counted row by row.</param>
    /// <param name="count">How many.</param>
    /// <param name="target">Where to.</param>
    void Expand(long first, long count, float* target);

    /// <summary>Products of some of its rows with a few vectors, without expanding the matrix.</summary>
    /// <param name="inputs">The vectors, [count, columns].</param>
    /// <param name="count">How many vectors, at most <see cref="PackedWeight.MostVectors"/>.</param>
    /// <param name="outputs">[count, rows]; those of the rows asked for are written.</param>
    /// <param name="firstRow">The first row.</param>
    /// <param name="rows">How many rows.</param>
    void Multiply(float* inputs, int count, float* outputs, long firstRow, long rows);

    /// <summary>A copy on another device; the caller owns it.</summary>
    IDeviceMatrix CopyTo(Device device);

    /// <summary>Its tensors as bitsandbytes stores them.</summary>
    /// <param name="name">The weight's name in the checkpoint.</param>
    /// <param name="original">The dtype it had before, as torch spells it, such as float32.</param>
    IReadOnlyList<KeyValuePair<string, Tensor>> Stored(string name, string original);
}
