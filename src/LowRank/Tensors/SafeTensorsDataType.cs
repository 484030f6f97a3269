using TorchSharp;

namespace LowRank.Tensors;

/// <summary>An element type of the safetensors format.</summary>
/// <param name="Name">As headers spell it.</param>
/// <param name="Bits">The size of an element in bits; some of the format's types are narrower than a byte.</param>
/// <param name="Type">The same type in torch; null where torch has none or TorchSharp does not know it.</param>
/// <remarks>Source: the safetensors library, version 0.7, <c>Dtype</c> in tensor.rs.</remarks>
internal sealed record SafeTensorsDataType(string Name, int Bits, torch.ScalarType? Type)
{
    // The order is the format's own (by alignment): the writer lays tensors out from the last to the first.
    private static readonly SafeTensorsDataType[] All =
    [
        new("BOOL", 8, torch.ScalarType.Bool),
        new("F4", 4, null),
        new("F6_E2M3", 6, null),
        new("F6_E3M2", 6, null),
        new("U8", 8, torch.ScalarType.Byte),
        new("I8", 8, torch.ScalarType.Int8),
        new("F8_E5M2", 8, null),
        new("F8_E4M3", 8, null),
        new("F8_E8M0", 8, null),
        new("I16", 16, torch.ScalarType.Int16),
        new("U16", 16, null),
        new("F16", 16, torch.ScalarType.Float16),
        new("BF16", 16, torch.ScalarType.BFloat16),
        new("I32", 32, torch.ScalarType.Int32),
        new("U32", 32, null),
        new("F32", 32, torch.ScalarType.Float32),
        new("C64", 64, torch.ScalarType.ComplexFloat32),
        new("F64", 64, torch.ScalarType.Float64),
        new("I64", 64, torch.ScalarType.Int64),
        new("U64", 64, null),
    ];

    private static readonly Dictionary<string, SafeTensorsDataType> ByName = All.ToDictionary(type => type.Name);

    private static readonly Dictionary<torch.ScalarType, SafeTensorsDataType> ByType =
        All.Where(type => type.Type is not null).ToDictionary(type => type.Type!.Value);

    /// <summary>The place of this type in the order of layout.</summary>
    public int Rank => Array.IndexOf(All, this);

    /// <summary>The types a tensor can be mapped as, for messages.</summary>
    public static string SupportedNames { get; } =
        string.Join(", ", All.Where(type => type.Type is not null).Select(type => type.Name));

    /// <summary>All types of the format, for messages.</summary>
    public static string AllNames { get; } = string.Join(", ", All.Select(type => type.Name));

    /// <summary>The type a header names; null if the format has no such type.</summary>
    public static SafeTensorsDataType? Find(string name) => ByName.GetValueOrDefault(name);

    /// <summary>The type that stores <paramref name="type"/>; null if the format has none.</summary>
    public static SafeTensorsDataType? Find(torch.ScalarType type) => ByType.GetValueOrDefault(type);
}
