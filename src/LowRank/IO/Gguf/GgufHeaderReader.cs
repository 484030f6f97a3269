using System.Buffers.Binary;
using System.Numerics;
using System.Text;

namespace LowRank.IO.Gguf;

/// <summary>Reads and checks the header of a GGUF file: nothing is allocated for a count or length before the file is
/// known to be long enough for it.</summary>
/// <remarks>Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Versions 2 and 3; they differ in the
/// byte order that they allow.</remarks>
internal sealed class GgufHeaderReader
{
    private const int MaximumDimensions = 4;
    private const int MaximumProblems = 200;
    private const int MaximumName = 1 << 16;
    private const uint DefaultAlignment = 32, MaximumAlignment = 1 << 20;
    private static readonly UInt128 Most = (UInt128)long.MaxValue;
    private static readonly UTF8Encoding Strict = new(false, throwOnInvalidBytes: true);

    private readonly string path;
    private readonly MappedFile file;
    private readonly List<string> problems = [];
    private readonly List<GgufTensor> tensors = [];
    private readonly HashSet<string> names = [];
    private int moreProblems;
    private long at;

    /// <param name="path">The path, for messages.</param>
    /// <param name="file">The whole file.</param>
    public GgufHeaderReader(string path, MappedFile file) => (this.path, this.file) = (path, file);

    /// <summary>The keys and values.</summary>
    public GgufMetadata Metadata { get; } = new();

    /// <summary>The tensors by name, in file order.</summary>
    public OrderedDictionary<string, GgufTensor> Tensors { get; } = [];

    /// <summary>Reads the header.</summary>
    /// <exception cref="InputException">The header is invalid; the message lists all problems that could be
    /// seen.</exception>
    public void Read()
    {
        try
        {
            ReadAll();
        }
        catch (DamagedException damage)
        {
            Add(damage.Message);
        }
        if (problems.Count > 0)
        {
            if (moreProblems > 0) problems.Add($"and {moreProblems} more problems");
            throw new InputException($"{path} cannot be used:", problems);
        }
        foreach (GgufTensor tensor in tensors) Tensors.Add(tensor.Name, tensor);
    }

    private void ReadAll()
    {
        if (!Take(4, "the format's mark").SequenceEqual("GGUF"u8))
            throw new DamagedException("it does not begin with GGUF; this is no GGUF file, or it is damaged");
        uint version = UInt32("the version");
        if (version is not (2 or 3))
            throw new DamagedException(BinaryPrimitives.ReverseEndianness(version) is 2 or 3
                ? "it is written for processors of the other byte order; convert it with llama.cpp's " +
                    "gguf_convert_endian.py"
                : $"its version is {version}; versions 2 and 3 can be read. Convert the model again with a present " +
                    "llama.cpp");
        long tensorCount = Count("the number of tensors", 24), keyCount = Count("the number of keys", 13);
        for (long i = 0; i < keyCount; i++) ReadKey();
        long alignment = Alignment();
        for (long i = 0; i < tensorCount; i++) ReadTensor();
        if (problems.Count == 0) Place(alignment);
    }

    private void ReadKey()
    {
        string key = Name("a key");
        object value = Value($"'{key}'", UInt32($"the type of '{key}'"));
        if (Metadata.Has(key)) Add($"the key '{key}' stands in the file twice");
        else Metadata.Set(key, value);
    }

    private object Value(string of, uint type) => (GgufValueType)type switch
    {
        GgufValueType.UInt8 => Take(1, of)[0],
        GgufValueType.Int8 => (sbyte)Take(1, of)[0],
        GgufValueType.UInt16 => BinaryPrimitives.ReadUInt16LittleEndian(Take(2, of)),
        GgufValueType.Int16 => BinaryPrimitives.ReadInt16LittleEndian(Take(2, of)),
        GgufValueType.UInt32 => UInt32(of),
        GgufValueType.Int32 => BinaryPrimitives.ReadInt32LittleEndian(Take(4, of)),
        GgufValueType.Float32 => BinaryPrimitives.ReadSingleLittleEndian(Take(4, of)),
        GgufValueType.Bool => Flag(of),
        GgufValueType.Text => Text(of),
        GgufValueType.UInt64 => UInt64(of),
        GgufValueType.Int64 => BinaryPrimitives.ReadInt64LittleEndian(Take(8, of)),
        GgufValueType.Float64 => BinaryPrimitives.ReadDoubleLittleEndian(Take(8, of)),
        GgufValueType.Array => Several(of),
        _ => throw new DamagedException($"{of} has the type {type}, which the format does not have"),
    };

    private Array Several(string of)
    {
        uint type = UInt32($"the type of the values of {of}");
        switch ((GgufValueType)type)
        {
            case GgufValueType.UInt8: return Items(of, 1, span => span[0]);
            case GgufValueType.Int8: return Items(of, 1, span => (sbyte)span[0]);
            case GgufValueType.UInt16: return Items(of, 2, BinaryPrimitives.ReadUInt16LittleEndian);
            case GgufValueType.Int16: return Items(of, 2, BinaryPrimitives.ReadInt16LittleEndian);
            case GgufValueType.UInt32: return Items(of, 4, BinaryPrimitives.ReadUInt32LittleEndian);
            case GgufValueType.Int32: return Items(of, 4, BinaryPrimitives.ReadInt32LittleEndian);
            case GgufValueType.Float32: return Items(of, 4, BinaryPrimitives.ReadSingleLittleEndian);
            case GgufValueType.Bool: return Items(of, 1, span => span[0] != 0);
            case GgufValueType.UInt64: return Items(of, 8, BinaryPrimitives.ReadUInt64LittleEndian);
            case GgufValueType.Int64: return Items(of, 8, BinaryPrimitives.ReadInt64LittleEndian);
            case GgufValueType.Float64: return Items(of, 8, BinaryPrimitives.ReadDoubleLittleEndian);
            case GgufValueType.Text:
                string[] texts = new string[Count($"the number of values of {of}", 8)];
                for (int i = 0; i < texts.Length; i++) texts[i] = Text(of);
                return texts;
            default:
                throw new DamagedException($"{of} is a list of values of type {type}; expected numbers or texts");
        }
    }

    private delegate T ItemReader<T>(ReadOnlySpan<byte> bytes);

    private T[] Items<T>(string of, int bytes, ItemReader<T> read)
    {
        var items = new T[Count($"the number of values of {of}", bytes)];
        for (int i = 0; i < items.Length; i++) items[i] = read(Take(bytes, of));
        return items;
    }

    private void ReadTensor()
    {
        string name = Name("a tensor's name");
        uint dimensions = UInt32($"the number of dimensions of '{name}'");
        if (dimensions is 0 or > MaximumDimensions)
            throw new DamagedException(
                $"tensor '{name}' has {dimensions} dimensions; expected 1 to {MaximumDimensions}");
        var shape = new long[dimensions];
        UInt128 values = 1;
        for (int i = 0; i < dimensions; i++)
        {
            ulong size = UInt64($"the shape of '{name}'");
            if (size is 0 or > long.MaxValue) Add($"tensor '{name}' has a dimension of {size}");
            shape[dimensions - 1 - i] = (long)Math.Clamp(size, 1, long.MaxValue); // the file's first is the innermost
            if (values <= Most) values *= (UInt128)shape[dimensions - 1 - i];
        }
        uint code = UInt32($"the type of '{name}'");
        ulong offset = UInt64($"the place of '{name}'");
        if (!names.Add(name)) Add($"tensor '{name}' stands in the file twice");
        if (GgufType.Find(code) is not { } type)
        {
            Add($"tensor '{name}' has the type {code}, which is not known; readable are {GgufType.ReadableNames}");
            return;
        }
        if (shape[^1] % type.BlockValues != 0)
            Add($"tensor '{name}' has rows of {shape[^1]} values; {type.Name} packs {type.BlockValues} at a time");
        else if (values > Most || offset > long.MaxValue
            || values * (UInt128)type.BlockBytes / (UInt128)type.BlockValues > Most)
            Add($"tensor '{name}' has more values than can be addressed: [{string.Join(", ", shape)}] at {offset}");
        else tensors.Add(new GgufTensor(name, type, shape, (long)offset, type.Bytes((long)values), path));
    }

    private long Alignment()
    {
        const string Key = "general.alignment";
        if (!Metadata.Has(Key)) return DefaultAlignment;
        if (Metadata.Integer(Key) is { } alignment and > 0 and <= MaximumAlignment && BitOperations.IsPow2(alignment))
            return alignment;
        throw new DamagedException(
            $"{Key} is {Metadata.Values[Key]}; expected a power of two up to {MaximumAlignment}");
    }

    // Turns offsets into places in the file, and checks that each tensor has its own bytes.
    private void Place(long alignment)
    {
        long start = (at + alignment - 1) / alignment * alignment, room = Math.Max(0, file.Length - start);
        for (int i = 0; i < tensors.Count; i++)
        {
            GgufTensor tensor = tensors[i];
            if (tensor.Begin % alignment != 0)
                Add($"tensor '{tensor.Name}' begins at {tensor.Begin}; expected a multiple of {alignment}");
            else if (tensor.Bytes > room || tensor.Begin > room - tensor.Bytes)
                Add($"tensor '{tensor.Name}' has {tensor.Bytes} bytes from {tensor.Begin}, but the file's data ends " +
                    $"at {room}: the file was cut off. Download or convert it again");
            else tensors[i] = tensor with { Begin = start + tensor.Begin };
        }
        if (problems.Count > 0) return;
        GgufTensor? previous = null;
        foreach (GgufTensor tensor in tensors.OrderBy(tensor => tensor.Begin))
        {
            if (previous is not null && tensor.Begin < previous.Begin + previous.Bytes)
                Add($"tensor '{tensor.Name}' begins inside the data of '{previous.Name}'");
            previous = tensor;
        }
    }

    private bool Flag(string of) => Take(1, of)[0] switch
    {
        0 => false,
        1 => true,
        var other => throw new DamagedException($"{of} is {other}; expected 0 or 1"),
    };

    private string Name(string what)
    {
        long length = Count($"the length of {what}", 1);
        if (length is 0 or > MaximumName)
            throw new DamagedException($"{what} is {length} bytes long; expected 1 to {MaximumName}");
        try
        {
            return Strict.GetString(Take((int)length, what));
        }
        catch (DecoderFallbackException)
        {
            throw new DamagedException($"{what} is not valid UTF-8");
        }
    }

    private string Text(string of)
    {
        long length = Count($"the length of a text of {of}", 1);
        return length > int.MaxValue ? throw new DamagedException($"{of} is {length} bytes long")
            : Encoding.UTF8.GetString(Take((int)length, of));
    }

    // A number of things that take at least so many bytes each, all of which must be there.
    private long Count(string what, int leastBytes)
    {
        ulong count = UInt64(what);
        if (count > (ulong)((file.Length - at) / leastBytes) || count > int.MaxValue)
            throw new DamagedException(
                $"{what} is {count}, but only {file.Length - at} bytes follow; the file was cut off or is damaged. " +
                "Download or convert it again");
        return (long)count;
    }

    private uint UInt32(string of) => BinaryPrimitives.ReadUInt32LittleEndian(Take(4, of));

    private ulong UInt64(string of) => BinaryPrimitives.ReadUInt64LittleEndian(Take(8, of));

    private ReadOnlySpan<byte> Take(int bytes, string of)
    {
        if (bytes > file.Length - at)
            throw new DamagedException(
                $"the file ends within {of}, after {file.Length} bytes: it was cut off. Download or convert it again");
        ReadOnlySpan<byte> taken = file.Span(at, bytes);
        at += bytes;
        return taken;
    }

    private void Add(string problem)
    {
        if (problems.Count < MaximumProblems) problems.Add(problem);
        else moreProblems++;
    }

    // Ends the reading: what follows has no known place.
    private sealed class DamagedException(string message) : Exception(message);
}
