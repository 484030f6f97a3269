using LowRank.IO.Gguf;
using LowRank.Kernels.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Quantization;

/// <summary>Weights in the block types of GGUF, as a model folder keeps them that was made of a GGUF file: the bytes of
/// the blocks, [out, bytes per row], beside the name of their type.</summary>
internal static unsafe class GgufBlocks
{
    /// <summary>What is added to a weight's name for the tensor with the name of its type.</summary>
    public const string Key = ".gguf_type";

    /// <summary>The matrix of a weight, over the memory of its blocks.</summary>
    /// <param name="type">The type.</param>
    /// <param name="blocks">The bytes; the matrix owns them.</param>
    /// <param name="rows">Number of outputs.</param>
    /// <param name="columns">Number of inputs.</param>
    public static IPackedMatrix Matrix(GgufType type, Tensor blocks, long rows, long columns)
    {
        nint address = NativeTensor.Address(blocks);
        return new RegisteredMatrix(
            type.Name, rows, columns, blocks.numel(),
            (first, target) => type.Expand(
                (offset, length) => new ReadOnlySpan<byte>((byte*)address + offset, length), first, target),
            blocks);
    }
}
