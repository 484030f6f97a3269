using System.Buffers.Binary;
using System.Security.Cryptography;
using TorchSharp;

namespace LowRank.IO;

/// <summary>A memory-mapped safetensors file: its tensors are views of the file's pages, so loading allocates nothing
/// and the weights are never in memory twice.</summary>
/// <remarks>
/// The whole header is checked when the file is opened. The file must not be shortened while tensors made from it live
/// (replacing it by a rename is fine): reading a page that is gone ends the process.
/// Source: https://github.com/huggingface/safetensors, "Format".
/// </remarks>
public sealed class SafeTensorsFile : IDisposable
{
    /// <summary>The maximum header length in bytes, the same limit as in the safetensors library.</summary>
    public const long MaximumHeaderBytes = 100_000_000;

    private readonly MappedFile mapping;

    private SafeTensorsFile(
        string path, MappedFile mapping,
        IReadOnlyDictionary<string, SafeTensorsEntry> entries, IReadOnlyDictionary<string, string> metadata)
    {
        Path = path;
        this.mapping = mapping;
        Entries = entries;
        Metadata = metadata;
    }

    /// <summary>The path with which the file was opened.</summary>
    public string Path { get; }

    /// <summary>The tensors by name, in the order of their data.</summary>
    public IReadOnlyDictionary<string, SafeTensorsEntry> Entries { get; }

    /// <summary>The header's <c>__metadata__</c>; empty if it has none.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Opens a file and checks its header.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="InputException">The file is missing or cannot be read, or its header is invalid; the message
    /// lists all problems.</exception>
    public static SafeTensorsFile Open(string path)
    {
        MappedFile mapped = MapFile(path);
        try
        {
            int headerBytes = HeaderLength(path, mapped);
            var parser = new SafeTensorsHeaderParser(path, 8L + headerBytes, mapped.Length);
            parser.Parse(mapped.Span(8, headerBytes));
            return new SafeTensorsFile(path, mapped, parser.Entries, parser.Metadata);
        }
        catch
        {
            mapped.Dispose();
            throw;
        }
    }

    /// <summary>Opens a weights file: safetensors, or a file from torch.save (<c>.bin</c>, <c>.pt</c>, <c>.pth</c>),
    /// whose pickle is read with a list of allowed names and never executed.</summary>
    /// <exception cref="InputException">As in <see cref="Open"/>, or the pickle requires a name that is not on the
    /// list.</exception>
    public static SafeTensorsFile OpenAny(string path)
    {
        if (!TorchArchive.IsNamed(path)) return Open(path);
        MappedFile mapped = MapFile(path);
        try
        {
            return new SafeTensorsFile(path, mapped, TorchArchive.Read(path, mapped), new Dictionary<string, string>());
        }
        catch
        {
            mapped.Dispose();
            throw;
        }
    }

    /// <summary>Creates a CPU tensor of the stored type and shape over the file's own memory.</summary>
    /// <param name="name">The tensor's key in <see cref="Entries"/>.</param>
    /// <returns>A tensor owned by the caller (and its dispose scope). It keeps the mapping alive even after this object
    /// is disposed of. Writing to it in place changes the process's memory only, never the file, and is seen by other
    /// tensors mapped from the same entry. If the data is not aligned to the element's size, the tensor is a
    /// copy.</returns>
    /// <exception cref="InputException">torch has no such element type.</exception>
    /// <exception cref="KeyNotFoundException">The file has no tensor with this name.</exception>
    public torch.Tensor Map(string name)
    {
        if (!Entries.TryGetValue(name, out SafeTensorsEntry? entry))
            throw new KeyNotFoundException($"{Path} has no tensor '{name}'.");
        torch.ScalarType type = entry.Type;
        int elementBytes = SafeTensorsDataType.Find(type)!.Bits / 8;
        return mapping.Tensor(entry.Begin, entry.Bytes, entry.Shape, type, elementBytes);
    }

    /// <summary>SHA-256 of a tensor's bytes as stored, in file order.</summary>
    internal byte[] Digest(string name)
    {
        const int Chunk = 1 << 26;
        SafeTensorsEntry entry = Entries[name];
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        for (long at = 0; at < entry.Bytes; at += Chunk)
            hash.AppendData(mapping.Span(entry.Begin + at, (int)Math.Min(Chunk, entry.Bytes - at)));
        return hash.GetHashAndReset();
    }

    /// <summary>Releases the pages of a tensor; they are read again on the next use.</summary>
    /// <remarks>In-place changes to the tensor are lost.</remarks>
    public void Release(string name) => mapping.Release(Entries[name].Begin, Entries[name].Bytes);

    /// <summary>The same file with renamed tensors; this object must not be used afterwards.</summary>
    /// <param name="names">For each tensor its new name; null omits it.</param>
    internal SafeTensorsFile Renamed(Func<string, string?> names)
    {
        var entries = new OrderedDictionary<string, SafeTensorsEntry>();
        foreach ((string name, SafeTensorsEntry entry) in Entries)
            if (names(name) is { } other) entries.Add(other, entry with { Name = other });
        return new SafeTensorsFile(Path, mapping, entries, Metadata);
    }

    /// <summary>Closes the file; tensors created from it stay valid.</summary>
    public void Dispose() => mapping.Dispose();

    private static MappedFile MapFile(string path)
    {
        if (Directory.Exists(path)) throw new InputException($"{path} is a folder; expected a safetensors file.");
        if (!File.Exists(path)) throw new InputException($"{path} does not exist; expected a safetensors file.");
        try
        {
            var mapped = new MappedFile(path);
            try
            {
                LfsPointer.Refuse(path, mapped.Span(0, (int)Math.Min(mapped.Length, LfsPointer.StartBytes)));
                return mapped;
            }
            catch
            {
                mapped.Dispose();
                throw;
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{path} cannot be read: {e.Message}", e);
        }
    }

    private static int HeaderLength(string path, MappedFile mapping)
    {
        if (mapping.Length < 8)
            throw new InputException(
                $"{path} is {mapping.Length} bytes long; a safetensors file has at least 8 (the header's length). " +
                "The file is empty or was cut off: download or save it again.");
        ulong length = BinaryPrimitives.ReadUInt64LittleEndian(mapping.Span(0, 8));
        if (length > MaximumHeaderBytes)
            throw new InputException(
                $"{path}: the header claims {length} bytes; at most {MaximumHeaderBytes} are allowed. " +
                "This is not a safetensors file, or it is damaged.");
        if ((long)length > mapping.Length - 8)
            throw new InputException(
                $"{path}: the header claims {length} bytes, but the file has only {mapping.Length - 8} after the " +
                "length. The file was cut off: download or save it again.");
        return (int)length;
    }
}

/// <summary>A tensor in a safetensors file, as listed in its header.</summary>
/// <param name="Name">The tensor's key.</param>
/// <param name="DataType">The element type in the file's spelling, such as <c>BF16</c>.</param>
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

    /// <summary>Whether torch supports this element type, so that the tensor can be mapped.</summary>
    public bool IsSupported => SafeTensorsDataType.Find(DataType)?.Type is not null;

    /// <summary>The element type in torch.</summary>
    /// <exception cref="InputException">torch has no such type (see <see cref="IsSupported"/>).</exception>
    public torch.ScalarType Type => SafeTensorsDataType.Find(DataType)?.Type ?? throw new InputException(
        $"{File}: tensor '{Name}' has the dtype {DataType}, which is not supported; supported are " +
        $"{SafeTensorsDataType.SupportedNames}. Convert the checkpoint to one of these, such as BF16.");
}

/// <summary>An element type of the safetensors format.</summary>
/// <param name="Name">Its name in headers.</param>
/// <param name="Bits">The size of an element in bits; some of the format's types are narrower than a byte.</param>
/// <param name="Type">The same type in torch; null if torch or TorchSharp has none.</param>
/// <remarks>Source: the safetensors library, version 0.7, <c>Dtype</c> in tensor.rs.</remarks>
internal sealed record SafeTensorsDataType(string Name, int Bits, torch.ScalarType? Type)
{
    // The order is the format's own (by alignment); the writer places tensors from the last type to the first.
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

    /// <summary>The position of this type in the layout order.</summary>
    public int Rank => Array.IndexOf(All, this);

    /// <summary>The types that a tensor can be mapped as, for messages.</summary>
    public static string SupportedNames { get; } =
        string.Join(", ", All.Where(type => type.Type is not null).Select(type => type.Name));

    /// <summary>All types of the format, for messages.</summary>
    public static string AllNames { get; } = string.Join(", ", All.Select(type => type.Name));

    /// <summary>The type with a header's name; null if the format has no such type.</summary>
    public static SafeTensorsDataType? Find(string name) => ByName.GetValueOrDefault(name);

    /// <summary>The type that stores <paramref name="type"/>; null if the format has none.</summary>
    public static SafeTensorsDataType? Find(torch.ScalarType type) => ByType.GetValueOrDefault(type);
}
