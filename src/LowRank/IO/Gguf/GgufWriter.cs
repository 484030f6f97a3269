using System.Buffers.Binary;
using System.Text;
using LowRank.Kernels.Native;
using TorchSharp;

namespace LowRank.IO.Gguf;

/// <summary>Writes GGUF files (version 3), a tensor at a time: no more than one is in memory.</summary>
internal static unsafe class GgufWriter
{
    private const uint Version = 3;
    private const int Alignment = 32;
    private const int ChunkValues = 1 << 23; // 32 MB of float32

    /// <summary>Writes a file atomically (<see cref="AtomicFile"/>).</summary>
    /// <param name="path">The file to write.</param>
    /// <param name="metadata">Its keys and values.</param>
    /// <param name="tensors">Its tensors, in the order of the file.</param>
    /// <exception cref="InputException">A name is repeated, or a row is no multiple of its type's block; nothing is
    /// written.</exception>
    /// <exception cref="NonFiniteException">A tensor has a value that is not finite, or becomes so in its
    /// type.</exception>
    public static void Write(string path, GgufMetadata metadata, IReadOnlyList<GgufSource> tensors)
    {
        Check(path, tensors);
        AtomicFile.Write(path, stream => WriteTo(stream, metadata, tensors));
    }

    private static void WriteTo(Stream stream, GgufMetadata metadata, IReadOnlyList<GgufSource> tensors)
    {
        byte[] header = Header(metadata, tensors);
        stream.Write(header);
        foreach (GgufSource tensor in tensors)
        {
            using (torch.NewDisposeScope())
            using (torch.no_grad())
                WriteData(stream, tensor);
            tensor.Release?.Invoke();
        }
    }

    private static void Check(string path, IReadOnlyList<GgufSource> tensors)
    {
        List<string> problems =
        [
            .. tensors.GroupBy(tensor => tensor.Name).Where(same => same.Count() > 1)
                .Select(same => $"'{same.Key}' is given {same.Count()} times"),
            .. tensors.Where(tensor => tensor.Type.Encode is null || tensor.Shape[^1] % tensor.Type.BlockValues != 0)
                .Select(tensor =>
                    $"'{tensor.Name}' has rows of {tensor.Shape[^1]} values, which {tensor.Type.Name} cannot pack"),
        ];
        if (problems.Count > 0) throw new InputException($"{path} cannot be written:", problems);
    }

    private static byte[] Header(GgufMetadata metadata, IReadOnlyList<GgufSource> tensors)
    {
        using var bytes = new MemoryStream();
        using var writer = new BinaryWriter(bytes);
        writer.Write("GGUF"u8);
        writer.Write(Version);
        writer.Write((ulong)tensors.Count);
        writer.Write((ulong)metadata.Values.Count);
        foreach ((string key, object value) in metadata.Values)
        {
            WriteText(writer, key);
            writer.Write((uint)TypeOf(value));
            WriteValue(writer, value);
        }
        long offset = 0;
        foreach (GgufSource tensor in tensors)
        {
            WriteText(writer, tensor.Name);
            writer.Write((uint)tensor.Shape.Length);
            foreach (long size in tensor.Shape.Reverse()) writer.Write((ulong)size);
            writer.Write(tensor.Type.Code);
            writer.Write((ulong)offset);
            offset += Aligned(tensor.Bytes);
        }
        writer.Write(new byte[Aligned(bytes.Length) - bytes.Length]);
        return bytes.ToArray();
    }

    private static void WriteData(Stream stream, GgufSource source)
    {
        torch.Tensor values = source.Read();
        if (!values.shape.SequenceEqual(source.Shape))
            throw new InvalidOperationException(
                $"{source.Name} is [{string.Join(", ", values.shape)}], announced as " +
                $"[{string.Join(", ", source.Shape)}].");
        torch.Tensor flat = values.detach().cpu().reshape(-1);
        GgufType type = source.Type;
        long width = source.Shape[^1], chunk = Math.Max(1, ChunkValues / width) * width;
        for (long at = 0; at < flat.shape[0]; at += chunk)
        {
            using DisposeScope scope = torch.NewDisposeScope();
            torch.Tensor part = flat.narrow(0, at, Math.Min(chunk, flat.shape[0] - at))
                .to(torch.ScalarType.Float32).contiguous();
            RequireFinite(source, part);
            stream.Write(Encoded(type, part, width));
        }
        stream.Write(new byte[Aligned(source.Bytes) - source.Bytes]);
    }

    private static byte[] Encoded(GgufType type, torch.Tensor part, long width)
    {
        long rows = part.shape[0] / width;
        byte[] packed = new byte[type.Bytes(part.shape[0])];
        nint address = NativeTensor.Address(part);
        int rowBytes = (int)type.Bytes(width);
        System.Threading.Tasks.Parallel.For(0, rows, row => type.Encode!(
            new ReadOnlySpan<float>((float*)address + row * width, (int)width),
            packed.AsSpan((int)(row * rowBytes), rowBytes)));
        GC.KeepAlive(part);
        return packed;
    }

    private static void RequireFinite(GgufSource source, torch.Tensor part)
    {
        float largest = part.abs().max().item<float>();
        if (!float.IsFinite(largest))
            throw new NonFiniteException($"{source.Name} has a value that is not finite.");
        // The scales of blocks are in float16 too.
        float most = source.Type.Name is "f32" or "bf16" ? float.MaxValue : (float)Half.MaxValue;
        if (largest > most)
            throw new NonFiniteException(
                $"{source.Name} has the value {largest:g6}, which {source.Type.Name} cannot hold. Write it as bf16 " +
                "or f32.");
    }

    private static GgufValueType TypeOf(object value) => value switch
    {
        Array => GgufValueType.Array,
        byte => GgufValueType.UInt8,
        sbyte => GgufValueType.Int8,
        ushort => GgufValueType.UInt16,
        short => GgufValueType.Int16,
        uint => GgufValueType.UInt32,
        int => GgufValueType.Int32,
        float => GgufValueType.Float32,
        bool => GgufValueType.Bool,
        string => GgufValueType.Text,
        ulong => GgufValueType.UInt64,
        long => GgufValueType.Int64,
        double => GgufValueType.Float64,
        _ => throw new ArgumentException($"GGUF has no value like {value.GetType()}.", nameof(value)),
    };

    // By the type itself: to a pattern, numbers with and without a sign are the same array.
    private static GgufValueType TypeOfItems(Array values) =>
        Type.GetTypeCode(values.GetType().GetElementType()) switch
        {
            TypeCode.Byte => GgufValueType.UInt8,
            TypeCode.Int32 => GgufValueType.Int32,
            TypeCode.UInt32 => GgufValueType.UInt32,
            TypeCode.Single => GgufValueType.Float32,
            TypeCode.Boolean => GgufValueType.Bool,
            TypeCode.String => GgufValueType.Text,
            _ => throw new ArgumentException($"Lists of {values.GetType().GetElementType()} are not written.",
                nameof(values)),
        };

    private static void WriteValue(BinaryWriter writer, object value)
    {
        switch (value)
        {
            case Array several:
                writer.Write((uint)TypeOfItems(several));
                writer.Write((ulong)several.Length);
                foreach (object each in several) WriteValue(writer, each);
                break;
            case byte number: writer.Write(number); break;
            case sbyte number: writer.Write(number); break;
            case ushort number: writer.Write(number); break;
            case short number: writer.Write(number); break;
            case uint number: writer.Write(number); break;
            case int number: writer.Write(number); break;
            case float number: writer.Write(number); break;
            case bool flag: writer.Write(flag); break;
            case string text: WriteText(writer, text); break;
            case ulong number: writer.Write(number); break;
            case long number: writer.Write(number); break;
            case double number: writer.Write(number); break;
        }
    }

    private static void WriteText(BinaryWriter writer, string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        writer.Write((ulong)bytes.Length);
        writer.Write(bytes);
    }

    private static long Aligned(long bytes) => (bytes + Alignment - 1) / Alignment * Alignment;
}

/// <summary>A tensor to write.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Shape">Its shape as in torch, the outermost dimension first.</param>
/// <param name="Type">The type to write it in.</param>
/// <param name="Read">Gives its values, in any floating-point type; called once, in a scope of its own.</param>
internal sealed record GgufSource(string Name, long[] Shape, GgufType Type, Func<torch.Tensor> Read)
{
    /// <summary>As <see cref="LazyWeight.Release"/>.</summary>
    public Action? Release { get; init; }

    /// <summary>The length of its data.</summary>
    public long Bytes => Type.Bytes(Shape.Aggregate(1L, (product, size) => product * size));
}
