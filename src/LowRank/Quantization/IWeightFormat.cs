using static TorchSharp.torch;

namespace LowRank.Quantization;

/// <summary>A way to keep the frozen weights of linear layers in fewer bytes: a class of this interface is found by its type.</summary>
public interface IWeightFormat
{
    /// <summary>What <c>base_dtype</c> calls it.</summary>
    string Name { get; }

    /// <summary>Bytes of a weight, scales included, for large matrices.</summary>
    double BytesPerWeight { get; }

    /// <summary>Whether bitsandbytes has a form for it, so that it can be written as a model folder.</summary>
    bool IsWritable { get; }

    /// <summary>Packs a matrix.</summary>
    /// <param name="matrix">[out, in], of any floating type, contiguous or not; not kept.</param>
    /// <param name="buffer">Where it is expanded while it is computed with; shared by the matrices of a model.</param>
    /// <returns>The packed matrix; the caller owns it.</returns>
    /// <exception cref="InputException">A value is not finite, so that it has no scale.</exception>
    PackedWeight Pack(Tensor matrix, ExpansionBuffer buffer);
}
