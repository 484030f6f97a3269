using System.Buffers.Binary;
using System.Text;
using LowRank.Kernels.Native;
using TorchSharp;

namespace LowRank.IO;

/// <summary>Writes safetensors files that equal those of the Python library's <c>save_file</c> byte for byte.</summary>
/// <remarks>Tensors are ordered by type (widest first), then by the UTF-8 bytes of their names; the header is padded
/// with spaces to a multiple of 8 bytes. Source: safetensors, tensor.rs, <c>prepare</c>.</remarks>
public static unsafe class SafeTensorsWriter
{
    private const int ChunkBytes = 64 << 20;

    /// <summary>The default metadata: <c>{"format":"pt"}</c>, which transformers requires.</summary>
    public static IReadOnlyDictionary<string, string> DefaultMetadata { get; } =
        new Dictionary<string, string> { ["format"] = "pt" };

    /// <summary>Writes a file atomically (<see cref="AtomicFile"/>).</summary>
    /// <param name="path">The file to write; an existing file is replaced once the new one is on disk.</param>
    /// <param name="tensors">Names and tensors, in any order, on any device. Tensors that are not contiguous or not on
    /// the CPU are copied one at a time; nothing else is copied.</param>
    /// <param name="metadata">The header's <c>__metadata__</c>, written in key order; null writes
    /// <see cref="DefaultMetadata"/>, an empty dictionary writes none.</param>
    /// <exception cref="InputException">A name is repeated or reserved, or the format does not support a tensor's type;
    /// the message lists all problems, and nothing is written.</exception>
    /// <exception cref="IOException">The disk is full or the folder cannot be written; no half-written file
    /// remains.</exception>
    public static void Write(
        string path, IReadOnlyList<KeyValuePair<string, torch.Tensor>> tensors,
        IReadOnlyDictionary<string, string>? metadata = null)
    {
        Check(path, tensors); // before the file is made
        AtomicFile.Write(path, stream => WriteTo(stream, path, tensors, metadata));
    }

    /// <summary>Writes a file atomically, of weights that are computed when they are written: one is in memory at a
    /// time.</summary>
    /// <inheritdoc cref="Write"/>
    internal static void WriteOneByOne(
        string path, IReadOnlyList<KeyValuePair<string, LazyWeight>> weights,
        IReadOnlyDictionary<string, string>? metadata = null)
    {
        Check(path, weights);
        AtomicFile.Write(path, stream => WriteTo(stream, weights, metadata));
    }

    /// <summary>Writes to a stream.</summary>
    /// <inheritdoc cref="Write"/>
    public static void WriteTo(Stream stream, string path, IReadOnlyList<KeyValuePair<string, torch.Tensor>> tensors,
        IReadOnlyDictionary<string, string>? metadata = null)
    {
        Check(path, tensors);
        WriteTo(stream, Lazily(tensors), metadata);
    }

    private static void WriteTo(
        Stream stream, IReadOnlyList<KeyValuePair<string, LazyWeight>> weights,
        IReadOnlyDictionary<string, string>? metadata)
    {
        List<KeyValuePair<string, LazyWeight>> sorted = Sort(weights);
        byte[] header = Header(sorted, metadata ?? DefaultMetadata);
        Span<byte> length = stackalloc byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, header.Length);
        stream.Write(length);
        stream.Write(header);
        foreach ((string name, LazyWeight weight) in sorted)
        {
            using (torch.NewDisposeScope())
            using (torch.no_grad())
                WriteData(stream, name, weight);
            weight.Release?.Invoke();
        }
    }

    /// <summary>Tensors in memory as weights to write.</summary>
    internal static IReadOnlyList<KeyValuePair<string, LazyWeight>> Lazily(
        IReadOnlyList<KeyValuePair<string, torch.Tensor>> tensors) =>
        [.. tensors.Select(pair => KeyValuePair.Create(pair.Key, LazyWeight.Of(pair.Value)))];

    /// <summary>The size of a weight's data in bytes.</summary>
    internal static long Bytes(LazyWeight weight) => weight.Shape.Aggregate(1L, (product, size) => product * size)
        * (SafeTensorsDataType.Find(weight.Type)?.Bits ?? 0) / 8;

    internal static void Check(string path, IReadOnlyList<KeyValuePair<string, torch.Tensor>> tensors) =>
        Check(path, Lazily(tensors),
            tensors.Where(pair => pair.Value.is_sparse && SafeTensorsDataType.Find(pair.Value.dtype) is not null)
                .Select(pair => $"tensor '{pair.Key}' is sparse; only dense tensors can be written"));

    internal static void Check(
        string path, IReadOnlyList<KeyValuePair<string, LazyWeight>> weights, IEnumerable<string>? further = null)
    {
        var problems = new List<string>();
        var names = new HashSet<string>();
        foreach ((string name, LazyWeight weight) in weights)
        {
            if (!names.Add(name)) problems.Add($"'{name}' is given twice; each name may stand in a file once");
            if (!IsUnicode(name)) problems.Add($"'{name}' is not valid Unicode (it has half of a surrogate pair)");
            if (name == "__metadata__") problems.Add($"'{name}' is reserved by the format and cannot name a tensor");
            if (SafeTensorsDataType.Find(weight.Type) is null)
                problems.Add($"tensor '{name}' has the dtype {weight.Type}, which safetensors does not have; it has " +
                    SafeTensorsDataType.SupportedNames);
        }
        problems.AddRange(further ?? []);
        if (problems.Count > 0) throw new InputException($"{path} cannot be written:", problems);
    }

    private static bool IsUnicode(string text)
    {
        foreach (Rune rune in text.EnumerateRunes())
            if (rune == Rune.ReplacementChar && !text.Contains('\ufffd')) return false;
        return true;
    }

    private static List<KeyValuePair<string, LazyWeight>> Sort(
        IReadOnlyList<KeyValuePair<string, LazyWeight>> weights) =>
        [.. weights
            .Select(pair =>
                (Pair: pair, SafeTensorsDataType.Find(pair.Value.Type)!.Rank, Name: Encoding.UTF8.GetBytes(pair.Key)))
            .OrderByDescending(item => item.Rank)
            .ThenBy(item => item.Name, Comparer<byte[]>.Create((a, b) => a.AsSpan().SequenceCompareTo(b)))
            .Select(item => item.Pair)];

    private static byte[] Header(
        List<KeyValuePair<string, LazyWeight>> weights, IReadOnlyDictionary<string, string> metadata)
    {
        var text = new StringBuilder("{");
        if (metadata.Count > 0)
        {
            text.Append("\"__metadata__\":{");
            foreach ((string key, string value) in metadata.OrderBy(pair => pair.Key, StringComparer.Ordinal))
            {
                AppendString(text, key).Append(':');
                AppendString(text, value).Append(',');
            }
            text.Length--;
            text.Append("},");
        }
        long offset = 0;
        foreach ((string name, LazyWeight weight) in weights)
        {
            long end = offset + Bytes(weight);
            AppendString(text, name)
                .Append(":{\"dtype\":\"").Append(SafeTensorsDataType.Find(weight.Type)!.Name)
                .Append("\",\"shape\":[").AppendJoin(',', weight.Shape)
                .Append("],\"data_offsets\":[").Append(offset).Append(',').Append(end).Append("]},");
            offset = end;
        }
        if (text.Length > 1) text.Length--;
        text.Append('}');
        int bytes = Encoding.UTF8.GetByteCount(text.ToString());
        text.Append(' ', (8 - bytes % 8) % 8);
        return Encoding.UTF8.GetBytes(text.ToString());
    }

    // Escapes like serde_json: the quote, the backslash and control characters, nothing else (.NET's own writer escapes
    // more).
    private static StringBuilder AppendString(StringBuilder text, string value)
    {
        text.Append('"');
        foreach (char c in value)
            _ = c switch
            {
                '"' => text.Append("\\\""),
                '\\' => text.Append("\\\\"),
                '\b' => text.Append("\\b"),
                '\f' => text.Append("\\f"),
                '\n' => text.Append("\\n"),
                '\r' => text.Append("\\r"),
                '\t' => text.Append("\\t"),
                < ' ' => text.Append("\\u").Append(((int)c).ToString("x4")),
                _ => text.Append(c),
            };
        return text.Append('"');
    }

    private static void WriteData(Stream stream, string name, LazyWeight weight)
    {
        torch.Tensor tensor = weight.Read();
        if (tensor.dtype != weight.Type || !tensor.shape.SequenceEqual(weight.Shape))
            throw new InvalidOperationException(
                $"{name} is {tensor.dtype} [{string.Join(", ", tensor.shape)}], announced as {weight.Type} " +
                $"[{string.Join(", ", weight.Shape)}].");
        WriteData(stream, tensor);
    }

    internal static void WriteData(Stream stream, torch.Tensor tensor)
    {
        // The scope frees the contiguous copy, if one was needed, before the next tensor is copied.
        using DisposeScope scope = torch.NewDisposeScope();
        using IDisposable noGradient = torch.no_grad();
        torch.Tensor dense = tensor.cpu().contiguous();
        long bytes = Bytes(LazyWeight.Of(dense));
        if (bytes == 0) return;
        byte* data = (byte*)NativeTensor.Address(dense);
        for (long at = 0; at < bytes; at += ChunkBytes)
            stream.Write(new ReadOnlySpan<byte>(data + at, (int)Math.Min(ChunkBytes, bytes - at)));
        GC.KeepAlive(dense);
    }
}
