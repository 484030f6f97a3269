using System.Security.Cryptography;
using LowRank.Kernels.Native;
using TorchSharp;

namespace LowRank.IO.Gguf;

/// <summary>A memory-mapped GGUF file: llama.cpp's format for models and adapters.</summary>
/// <remarks>The whole header is checked when the file is opened (<see cref="GgufHeaderReader"/>).</remarks>
internal sealed unsafe class GgufFile : IDisposable
{
    /// <summary>The ending of GGUF files.</summary>
    public const string Extension = ".gguf";

    private readonly MappedFile mapping;

    private GgufFile(string path, MappedFile mapping, GgufHeaderReader header)
    {
        (Path, this.mapping) = (path, mapping);
        (Metadata, Tensors) = (header.Metadata, header.Tensors);
    }

    /// <summary>The path with which the file was opened.</summary>
    public string Path { get; }

    /// <summary>The keys and values.</summary>
    public GgufMetadata Metadata { get; }

    /// <summary>The tensors by name, in file order.</summary>
    public IReadOnlyDictionary<string, GgufTensor> Tensors { get; }

    /// <summary>Opens a file and checks its header.</summary>
    /// <exception cref="InputException">The file is missing or cannot be read, or its header is invalid; the message
    /// lists all problems.</exception>
    public static GgufFile Open(string path)
    {
        if (Directory.Exists(path)) throw new InputException($"{path} is a folder; expected a GGUF file.");
        if (!File.Exists(path)) throw new InputException($"{path} does not exist; expected a GGUF file.");
        MappedFile mapped = Map(path);
        try
        {
            LfsPointer.Refuse(path, mapped.Span(0, (int)Math.Min(mapped.Length, LfsPointer.StartBytes)));
            var header = new GgufHeaderReader(path, mapped);
            header.Read();
            return new GgufFile(path, mapped, header);
        }
        catch
        {
            mapped.Dispose();
            throw;
        }
    }

    /// <summary>Whether a path names a GGUF file by its ending.</summary>
    public static bool IsNamed(string path) => path.EndsWith(Extension, StringComparison.OrdinalIgnoreCase);

    /// <summary>Writes values of a tensor as float32. Thread-safe.</summary>
    /// <param name="tensor">The tensor.</param>
    /// <param name="first">Index of the first value, row by row.</param>
    /// <param name="target">Receives as many values as it has room for.</param>
    /// <exception cref="InputException">The tensor's type cannot be read.</exception>
    public void Expand(GgufTensor tensor, long first, Span<float> target)
    {
        tensor.RequireReadable();
        tensor.Type.Expand((offset, length) => mapping.Span(tensor.Begin + offset, length), first, target);
    }

    /// <summary>The bytes of a tensor's rows as stored: a view of the file's memory, [rows, bytes per row].</summary>
    /// <param name="tensor">The tensor.</param>
    /// <param name="first">The first row, counted through all outer dimensions.</param>
    /// <param name="rows">Number of rows.</param>
    public torch.Tensor Rows(GgufTensor tensor, long first, long rows)
    {
        long width = tensor.Type.Bytes(tensor.Shape[^1]);
        return mapping.Tensor(
            tensor.Begin + first * width, rows * width, [rows, width], torch.ScalarType.Byte, elementBytes: 1);
    }

    /// <summary>A tensor of the file's values: a view of its memory for float32, float16 and bfloat16, otherwise a new
    /// float32 tensor. Shapes are as in torch, the outermost dimension first.</summary>
    /// <exception cref="InputException">The tensor's type cannot be read.</exception>
    public torch.Tensor Read(GgufTensor tensor)
    {
        torch.ScalarType? plain = tensor.Type.Name switch
        {
            "f32" => torch.ScalarType.Float32,
            "f16" => torch.ScalarType.Float16,
            "bf16" => torch.ScalarType.BFloat16,
            _ => null,
        };
        if (plain is { } type)
            return mapping.Tensor(tensor.Begin, tensor.Bytes, tensor.Shape, type, tensor.Type.BlockBytes);
        tensor.RequireReadable(); // before memory is taken
        torch.Tensor values = torch.empty(tensor.Shape);
        long rows = tensor.Values / tensor.Shape[^1], width = tensor.Shape[^1];
        nint address = NativeTensor.Address(values);
        System.Threading.Tasks.Parallel.For(0, rows, row =>
            Expand(tensor, row * width, new Span<float>((float*)address + row * width, (int)width)));
        return values;
    }

    /// <summary>SHA-256 of a tensor's bytes as stored.</summary>
    public byte[] Digest(GgufTensor tensor)
    {
        const int Chunk = 1 << 26;
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        for (long at = 0; at < tensor.Bytes; at += Chunk)
            hash.AppendData(mapping.Span(tensor.Begin + at, (int)Math.Min(Chunk, tensor.Bytes - at)));
        return hash.GetHashAndReset();
    }

    /// <summary>Releases the pages of a tensor; they are read again on the next use.</summary>
    public void Release(GgufTensor tensor) => mapping.Release(tensor.Begin, tensor.Bytes);

    /// <summary>Closes the file; tensors over its memory stay valid.</summary>
    public void Dispose() => mapping.Dispose();

    private static MappedFile Map(string path)
    {
        try
        {
            return new MappedFile(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{path} cannot be read: {e.Message}", e);
        }
    }
}

/// <summary>A tensor in a GGUF file.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">How its values are packed.</param>
/// <param name="Shape">The sizes of its dimensions as in torch, the outermost first; the file lists them the other way
/// round.</param>
/// <param name="Begin">Where its data begins, in bytes from the start of the file.</param>
/// <param name="Bytes">The length of its data.</param>
/// <param name="File">The path of the file.</param>
internal sealed record GgufTensor(string Name, GgufType Type, long[] Shape, long Begin, long Bytes, string File)
{
    /// <summary>The number of values.</summary>
    public long Values => Shape.Aggregate(1L, (product, size) => product * size);

    /// <summary>Refuses a type whose values cannot be read.</summary>
    /// <exception cref="InputException">It is such a type.</exception>
    public void RequireReadable()
    {
        if (Type.Decode is null)
            throw new InputException(
                $"{File}: tensor '{Name}' is stored as {Type.Name}, which cannot be read; readable are " +
                $"{GgufType.ReadableNames}. Take the model in one of these.");
    }
}
