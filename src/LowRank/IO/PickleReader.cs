using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace LowRank.IO;

/// <summary>Reads the pickle of a torch checkpoint without executing it: the few names that checkpoints need are on a
/// list, all others are rejected, and none is called.</summary>
/// <remarks>Source: Python's pickletools, protocols 2 to 5. Memory grows only with the length of the pickle, because
/// repeated references are not copied.</remarks>
internal sealed class PickleReader(string path, ReadOnlyMemory<byte> pickle)
{
    private static readonly Dictionary<string, string> StorageTypes = new()
    {
        ["torch.FloatStorage"] = "F32", ["torch.HalfStorage"] = "F16", ["torch.BFloat16Storage"] = "BF16",
            ["torch.DoubleStorage"] = "F64", ["torch.LongStorage"] = "I64",
        ["torch.IntStorage"] = "I32", ["torch.ShortStorage"] = "I16", ["torch.CharStorage"] = "I8",
            ["torch.ByteStorage"] = "U8", ["torch.BoolStorage"] = "BOOL",
    };

    private const string RebuildTensor = "torch._utils._rebuild_tensor_v2",
        RebuildParameter = "torch._utils._rebuild_parameter", OrderedDictionary = "collections.OrderedDict",
        Size = "torch.Size";
    private static readonly HashSet<string> Allowed =
        [.. StorageTypes.Keys, RebuildTensor, RebuildParameter, OrderedDictionary, Size];
    private static readonly object Mark = new();

    private readonly List<object?> stack = [];
    private readonly Dictionary<long, object?> memo = [];
    private int at;

    /// <summary>Number of bytes read.</summary>
    public int Position => at;

    /// <summary>Reads the pickle's value.</summary>
    /// <exception cref="InputException">The pickle is damaged or requires a name that is not on the list.</exception>
    public object? Read()
    {
        while (true)
        {
            byte code = Take(1)[0];
            if (code == '.') return Pop();
            Step(code);
        }
    }

    private void Step(byte code)
    {
        switch ((char)code)
        {
            case '\x80': _ = Take(1); break;                                    // PROTO
            case '\x95': _ = Take(8); break;                                    // FRAME
            case '(': Push(Mark); break;
            case '}': Push(new PickleMap()); break;
            case ']': Push(new List<object?>()); break;
            case ')': Push(Array.Empty<object?>()); break;
            case 'N': Push(null); break;
            case '\x88': Push(true); break;
            case '\x89': Push(false); break;
            case 'K': Push((long)Take(1)[0]); break;
            case 'M': Push((long)BinaryPrimitives.ReadUInt16LittleEndian(Take(2))); break;
            case 'J': Push((long)BinaryPrimitives.ReadInt32LittleEndian(Take(4))); break;
            case '\x8a': Push(Whole(Take(1)[0])); break;                        // LONG1
            case 'G': Push(BinaryPrimitives.ReadDoubleBigEndian(Take(8))); break;
            case 'X': Push(Text((int)Math.Min(int.MaxValue, BinaryPrimitives.ReadUInt32LittleEndian(Take(4))))); break;
            case '\x8c': Push(Text(Take(1)[0])); break;                         // SHORT_BINUNICODE
            case 'U': Push(Text(Take(1)[0])); break;                            // SHORT_BINSTRING, Python 2's
            case 'c': Push(Global(Line(), Line())); break;
            case '\x93': StackGlobal(); break;
            case 't': Push(UpToMark().ToArray()); break;
            case '\x85': Push(new[] { Pop() }); break;
            case '\x86': Push(Last(2)); break;
            case '\x87': Push(Last(3)); break;
            case 'q': memo[Take(1)[0]] = Peek(); break;
            case 'r': memo[BinaryPrimitives.ReadUInt32LittleEndian(Take(4))] = Peek(); break;
            case '\x94': memo[memo.Count] = Peek(); break;
            case 'h': Push(Remembered(Take(1)[0])); break;
            case 'j': Push(Remembered(BinaryPrimitives.ReadUInt32LittleEndian(Take(4)))); break;
            case 's': SetItems([Pop(), Pop()]); break;
            case 'u': SetItemsInOrder(UpToMark()); break;
            case 'a': Append([Pop()]); break;
            case 'e': Append(UpToMark()); break;
            case '0': _ = Pop(); break;
            // BUILD: an OrderedDict's _metadata, which no tensor needs
            case 'b': _ = Pop(); break;
            case 'Q': Push(Storage(Pop())); break;                              // BINPERSID
            case 'R': Reduce(); break;
            default: throw Broken($"the code 0x{code:x2} at byte {at - 1} is none that checkpoints have");
        }
    }

    private void StackGlobal()
    {
        object? name = Pop(), module = Pop();
        Push(Global(module as string ?? throw Broken("a name is no text"), name as string
            ?? throw Broken("a name is no text")));
    }

    private PickleGlobal Global(string module, string name)
    {
        string full = $"{module}.{name}";
        if (Allowed.Contains(full)) return new PickleGlobal(full);
        throw new InputException(
            $"{path} refers to {(full.Length > 100 ? full[..100] + "…" : full)}, which no checkpoint of weights " +
            "needs: a pickle can run any code when Python loads it. It was not read any further. Allowed are " +
            $"{string.Join(", ", Allowed.Order(StringComparer.Ordinal))}. If you trust the file, load it in Python " +
            "and save its tensors as safetensors.");
    }

    private void Reduce()
    {
        object?[] arguments = Pop() as object?[] ?? throw Broken("a call has no arguments");
        PickleGlobal function = Pop() as PickleGlobal ?? throw Broken("what is called is no name");
        Push(function.Name switch
        {
            RebuildTensor => Tensor(arguments),
            RebuildParameter => arguments is [PickleTensor tensor, ..] ? tensor
            : throw Broken("a parameter without a tensor"),
            OrderedDictionary => arguments.Length == 0 ? new PickleMap()
            : throw Broken("a dictionary that is made with content"),
            Size => arguments is [object?[] sizes] ? sizes : throw Broken("a size without numbers"),
            _ => throw Broken($"{function.Name} is called, which is a type of storage"),
        });
    }

    // ("storage", type, key, location, count), the way torch.save identifies storages.
    private PickleStorage Storage(object? id) =>
        id is object?[]
            and (["storage", PickleGlobal _, string _, string _, long _]
            or ["storage", PickleGlobal _, string _, string _, long _, null])
        && id is object?[] and [_, PickleGlobal type, string key, _, long count, ..]
        && StorageTypes.TryGetValue(type.Name, out string? dataType) && count >= 0
            ? new PickleStorage(dataType, key, count)
            : throw Broken("a storage is not described as torch.save describes it");

    private PickleTensor Tensor(object?[] arguments) =>
        arguments is [PickleStorage storage, long offset, object?[] shape, object?[] strides, ..]
            && shape.Length == strides.Length && shape.Length <= 16
            ? new PickleTensor(storage, offset, Numbers(shape), Numbers(strides))
            : throw Broken("a tensor is not described as torch.save describes it");

    private long[] Numbers(object?[] values) =>
        [.. values.Select(value => value is long and >= 0 and < 1L << 48 ? (long)value
        : throw Broken("a size or a stride is out of range"))];

    private void SetItems(object?[] valueAndKey) => Map().Entries.Add((valueAndKey[1], valueAndKey[0]));

    private void SetItemsInOrder(List<object?> items)
    {
        if (items.Count % 2 != 0) throw Broken("a key has no value");
        PickleMap map = Map();
        for (int i = 0; i < items.Count; i += 2) map.Entries.Add((items[i], items[i + 1]));
    }

    private PickleMap Map() => Peek() as PickleMap ?? throw Broken("items are set in what is no dictionary");

    private void Append(List<object?> items) =>
        (Peek() as List<object?> ?? throw Broken("items are appended to what is no list")).AddRange(items);

    private object? Remembered(long key) => memo.TryGetValue(key, out object? value) ? value
        : throw Broken($"it refers to value {key}, which it has not");

    private void Push(object? value) => stack.Add(value);

    private object? Peek() => stack.Count > 0 && !ReferenceEquals(stack[^1], Mark) ? stack[^1]
        : throw Broken("a value is missing");

    private object? Pop()
    {
        object? value = Peek();
        stack.RemoveAt(stack.Count - 1);
        return value;
    }

    private object?[] Last(int count)
    {
        var values = new object?[count];
        for (int i = count - 1; i >= 0; i--) values[i] = Pop();
        return values;
    }

    private List<object?> UpToMark()
    {
        int mark = stack.LastIndexOf(Mark);
        if (mark < 0) throw Broken("a mark is missing");
        List<object?> values = stack.GetRange(mark + 1, stack.Count - mark - 1);
        stack.RemoveRange(mark, stack.Count - mark);
        return values;
    }

    private long Whole(int bytes)
    {
        ReadOnlySpan<byte> digits = Take(bytes);
        if (bytes > 8) throw Broken("a whole number is larger than any size");
        long value = bytes > 0 && (digits[^1] & 0x80) != 0 ? -1 : 0;
        for (int i = bytes - 1; i >= 0; i--) value = value << 8 | digits[i];
        return value;
    }

    private string Text(int bytes) => Encoding.UTF8.GetString(Take(bytes));

    private string Line()
    {
        int end = pickle.Span[at..].IndexOf((byte)'\n');
        if (end < 0) throw Broken("a name does not end");
        string line = Text(end);
        at++;
        return line;
    }

    private ReadOnlySpan<byte> Take(int bytes)
    {
        if (bytes > pickle.Length - at) throw Broken("it ends too early");
        at += bytes;
        return pickle.Span.Slice(at - bytes, bytes);
    }

    private InputException Broken(string why) =>
        new(string.Create(
            CultureInfo.InvariantCulture,
            $"{path}: its pickle is damaged or is no checkpoint: {why} (byte {at}). Download or save it again."));
}

/// <summary>A Python name that a pickle refers to, one of the allowed ones. It is never called.</summary>
/// <param name="Name">Module and name, such as <c>torch._utils._rebuild_tensor_v2</c>.</param>
internal sealed record PickleGlobal(string Name);

/// <summary>A dictionary of a pickle, in its order.</summary>
internal sealed class PickleMap
{
    /// <summary>Keys and values; a key may be any value.</summary>
    public List<(object? Key, object? Value)> Entries { get; } = [];
}

/// <summary>A storage that a pickle refers to.</summary>
/// <param name="DataType">The dtype in safetensors' spelling.</param>
/// <param name="Key">The name of its file in the archive.</param>
/// <param name="Count">Number of elements.</param>
internal sealed record PickleStorage(string DataType, string Key, long Count);

/// <summary>A tensor described by a pickle.</summary>
/// <param name="Storage">Its storage.</param>
/// <param name="Offset">Offset of the first element.</param>
/// <param name="Shape">Its sizes.</param>
/// <param name="Strides">Its strides, in elements, for each dimension.</param>
internal sealed record PickleTensor(PickleStorage Storage, long Offset, long[] Shape, long[] Strides)
{
    /// <summary>Whether the elements are contiguous.</summary>
    public bool IsContiguous
    {
        get
        {
            long expected = 1;
            for (int i = Shape.Length - 1; i >= 0; i--)
            {
                if (Shape[i] != 1 && Strides[i] != expected) return Array.IndexOf(Shape, 0) >= 0;
                expected *= Shape[i];
            }
            return true;
        }
    }
}
