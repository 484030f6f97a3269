using TorchSharp;

namespace LowRank.Tensors;

/// <summary>One tensor of a safetensors file, as its header lists it.</summary>
/// <param name="Name">The tensor's key.</param>
/// <param name="DataType">The element type as the file spells it, such as <c>BF16</c>.</param>
/// <param name="Shape">The sizes of the dimensions; empty for a scalar.</param>
/// <param name="Begin">Where the data begins, in bytes from the start of the file.</param>
/// <param name="End">Where the data ends (exclusive), in bytes from the start of the file.</param>
/// <param name="File">The path of the file.</param>
public sealed record SafeTensorsEntry(string Name, string DataType, long[] Shape, long Begin, long End, string File)
{
    /// <summary>The length of the data in bytes.</summary>
    public long Bytes => End - Begin;

    /// <summary>The number of elements: the product of the shape, 1 for a scalar.</summary>
    public long ElementCount => Shape.Aggregate(1L, (product, size) => product * size);

    /// <summary>Whether torch has this element type, so that the tensor can be mapped.</summary>
    public bool IsSupported => SafeTensorsDataType.Find(DataType)?.Type is not null;

    /// <summary>The element type in torch.</summary>
    /// <exception cref="InputException">torch has no such type (see <see cref="IsSupported"/>).</exception>
    public torch.ScalarType Type => SafeTensorsDataType.Find(DataType)?.Type ?? throw new InputException(
        $"{File}: tensor '{Name}' has the dtype {DataType}, which is not supported; supported are " +
        $"{SafeTensorsDataType.SupportedNames}. Convert the checkpoint to one of these, such as BF16.");
}
