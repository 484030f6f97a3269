using System.Buffers.Binary;
using System.Text;

namespace LowRank.IO;

/// <summary>The tensors of a file written by torch.save (<c>pytorch_model.bin</c>): listed without executing its pickle
/// and mapped in place.</summary>
internal static class TorchArchive
{
    private const string PickleName = "/data.pkl", OrderName = "/byteorder";
    private const int MostPickleBytes = 256 << 20;

    /// <summary>Whether a file name belongs to torch.</summary>
    public static bool IsNamed(string path) => path.EndsWith(".bin", StringComparison.OrdinalIgnoreCase)
        || path.EndsWith(".pt", StringComparison.OrdinalIgnoreCase)
        || path.EndsWith(".pth", StringComparison.OrdinalIgnoreCase);

    /// <summary>The tensors by name, with their positions in the file.</summary>
    /// <param name="path">The path, for messages.</param>
    /// <param name="file">The file, mapped.</param>
    /// <exception cref="InputException">The file is not a torch file, is damaged, requires code, or does not contain a
    /// flat dictionary of tensors; the message lists all problems of the tensors.</exception>
    public static IReadOnlyDictionary<string, SafeTensorsEntry> Read(string path, MappedFile file)
    {
        if (TorchStream.IsOne(file))
        {
            (object? content, IReadOnlyDictionary<string, ZipEntry> storages) = new TorchStream(path, file).Read();
            return Tensors(path, key => key, Map(path, content), storages);
        }
        IReadOnlyDictionary<string, ZipEntry> entries = new ZipDirectory(path, file).Read();
        string[] pickles = [.. entries.Keys.Where(name => name.EndsWith(PickleName, StringComparison.Ordinal))];
        if (pickles is not [var only])
            throw new InputException(
                $"{path} holds {pickles.Length} files data.pkl; expected one, as torch.save writes.");
        string root = only[..^PickleName.Length];
        if (entries.TryGetValue(root + OrderName, out ZipEntry? order) && order.Length == 3 && file.Span(order.Begin, 3)
            .SequenceEqual("big"u8))
            throw new InputException(
                $"{path} was saved on a big-endian machine. Load it in Python and save it as safetensors.");
        ZipEntry pickle = entries[only];
        if (pickle.Length > MostPickleBytes)
            throw new InputException(
                $"{path}: its pickle is {pickle.Length} bytes long; a list of tensors has at most {MostPickleBytes}.");
        object? value = new PickleReader(path, file.Span(pickle.Begin, (int)pickle.Length).ToArray()).Read();
        return Tensors(path, key => $"{root}/data/{key}", Map(path, value), entries);
    }

    private static PickleMap Map(string path, object? value) => value as PickleMap
        ?? throw new InputException(
            $"{path} holds no dictionary of tensors. Expected what torch.save(model.state_dict(), …) writes.");

    private static OrderedDictionary<string, SafeTensorsEntry> Tensors(
        string path, Func<string, string> place, PickleMap map, IReadOnlyDictionary<string, ZipEntry> files)
    {
        var found = new OrderedDictionary<string, SafeTensorsEntry>();
        var problems = new List<string>();
        foreach ((object? key, object? value) in map.Entries)
        {
            if (key is not string name) problems.Add("a key is no text");
            else if (value is not PickleTensor tensor)
                problems.Add(
                    $"'{name}' is no " +
                    $"tensor{(value is PickleMap
                        ? " but a dictionary: expected what torch.save(model.state_dict(), …) writes, not a whole " +
                            "training state" : "")}");
            else if (Place(path, place, name, tensor, files, out string? problem) is { } entry) found[name] = entry;
            else problems.Add($"'{name}': {problem}");
            if (problems.Count == 20) break;
        }
        return problems.Count == 0 ? found : throw new InputException($"{path} cannot be used as weights:", problems);
    }

    private static SafeTensorsEntry? Place(string path, Func<string, string> place, string name, PickleTensor tensor,
        IReadOnlyDictionary<string, ZipEntry> files, out string? problem)
    {
        PickleStorage storage = tensor.Storage;
        int size = SafeTensorsDataType.Find(storage.DataType)!.Bits / 8;
        UInt128 count = tensor.Shape.Aggregate((UInt128)1, (product, length) => product > ulong.MaxValue ? product
            : product * (ulong)length);
        if (!files.TryGetValue(place(storage.Key), out ZipEntry? file))
            problem = $"its numbers, data/{storage.Key}, are not in the file";
        else if (storage.Count > file.Length / size)
            problem = $"data/{storage.Key} has {file.Length} bytes, expected {storage.Count} numbers of {size}";
        else if (tensor.Offset < 0 || count > (ulong)storage.Count
            || (ulong)tensor.Offset + count > (ulong)storage.Count)
            problem =
                $"[{string.Join(", ", tensor.Shape)}] from {tensor.Offset} on reaches beyond its {storage.Count} " +
                "numbers";
        else if (!tensor.IsContiguous)
            problem =
                "it is a view with gaps or turned (not contiguous); save the checkpoint with .contiguous() " +
                "tensors, or as safetensors";
        else
        {
            problem = null;
            long begin = file.Begin + tensor.Offset * size;
            return new SafeTensorsEntry(name, storage.DataType, tensor.Shape, begin, begin + (long)count * size, path);
        }
        return null;
    }
}

/// <summary>The positions of the files in a zip archive, so that they can be mapped: torch stores them
/// uncompressed.</summary>
/// <remarks>Source: APPNOTE.TXT 6.3, sections 4.3 and 4.5.3 (zip64). Every offset is checked against the file's
/// length.</remarks>
internal sealed class ZipDirectory(string path, MappedFile file)
{
    private const uint EndMark = 0x06054b50, End64Mark = 0x06064b50, Locator64Mark = 0x07064b50,
        CentralMark = 0x02014b50, LocalMark = 0x04034b50;
    private const int EndBytes = 22, CentralBytes = 46, LocalBytes = 30, MostComment = ushort.MaxValue;
    private const long MostEntries = 1_000_000;

    /// <summary>Reads the directory.</summary>
    /// <exception cref="InputException">The file is not a zip archive, is truncated, or contains compressed
    /// files.</exception>
    public IReadOnlyDictionary<string, ZipEntry> Read()
    {
        (long at, long count) = FindCentral();
        if (count > MostEntries) throw Broken($"it claims {count} files");
        var entries = new Dictionary<string, ZipEntry>();
        for (long i = 0; i < count; i++)
        {
            ReadOnlySpan<byte> head = Span(at, CentralBytes);
            if (U32(head) != CentralMark) throw Broken($"entry {i} of its directory is none");
            int name = U16(head[28..]), extra = U16(head[30..]), comment = U16(head[32..]);
            ReadOnlySpan<byte> rest = Span(at + CentralBytes, name + extra);
            string text = Encoding.UTF8.GetString(rest[..name]);
            (long packed, long length, long local) = Sizes(head, rest[name..]);
            if (U16(head[10..]) != 0 || packed != length)
                throw new InputException(
                    $"{path}: {text} is compressed, which torch never does; save the checkpoint again with " +
                    "torch.save.");
            if (!entries.TryAdd(text, new ZipEntry(text, DataOf(local), length)))
                throw Broken($"{text} is in it twice");
            _ = Checked(entries[text]);
            at += CentralBytes + name + extra + comment;
        }
        return entries;
    }

    private (long At, long Count) FindCentral()
    {
        long first = Math.Max(0, file.Length - EndBytes - MostComment);
        for (long at = file.Length - EndBytes; at >= first; at--)
        {
            if (U32(Span(at, 4)) != EndMark) continue;
            ReadOnlySpan<byte> end = Span(at, EndBytes);
            long count = U16(end[10..]), central = U32(end[16..]);
            if (count != ushort.MaxValue && central != uint.MaxValue) return (central, count);
            if (at < 20 || U32(Span(at - 20, 20)) != Locator64Mark) throw Broken("its zip64 locator is missing");
            long end64 = (long)U64(Span(at - 20, 20)[8..]);
            ReadOnlySpan<byte> large = Span(end64, 56);
            if (U32(large) != End64Mark) throw Broken("its zip64 end is missing");
            return ((long)U64(large[48..]), (long)U64(large[32..]));
        }
        throw new InputException(
            $"{path} is no torch checkpoint: expected a zip archive, as torch.save writes since version 1.6. Load " +
            "it in Python and save it as safetensors, or download it again.");
    }

    // Sizes that do not fit are in extra field 1, in this order, each only if its own field is at the maximum.
    private (long Packed, long Length, long Local) Sizes(ReadOnlySpan<byte> head, ReadOnlySpan<byte> extra)
    {
        long packed = U32(head[20..]), length = U32(head[24..]), local = U32(head[42..]);
        for (int i = 0; i + 4 <= extra.Length;)
        {
            int id = U16(extra[i..]), size = U16(extra[(i + 2)..]);
            if (i + 4 + size > extra.Length) throw Broken("an extra field is cut off");
            if (id == 1)
            {
                ReadOnlySpan<byte> field = extra.Slice(i + 4, size);
                long Next(ref ReadOnlySpan<byte> from)
                {
                    if (from.Length < 8) throw Broken("a zip64 field is cut off");
                    long value = (long)U64(from);
                    from = from[8..];
                    return value;
                }
                if (length == uint.MaxValue) length = Next(ref field);
                if (packed == uint.MaxValue) packed = Next(ref field);
                if (local == uint.MaxValue) local = Next(ref field);
            }
            i += 4 + size;
        }
        return (packed, length, local);
    }

    private long DataOf(long local)
    {
        ReadOnlySpan<byte> head = Span(local, LocalBytes);
        if (U32(head) != LocalMark) throw Broken("its directory points beside a file");
        return local + LocalBytes + U16(head[26..]) + U16(head[28..]);
    }

    private ZipEntry Checked(ZipEntry entry) =>
        entry.Length >= 0 && entry.Begin <= file.Length && entry.Length <= file.Length - entry.Begin ? entry
            : throw Broken($"{entry.Name} reaches beyond its end");

    private ReadOnlySpan<byte> Span(long at, int length) =>
        at >= 0 && at <= file.Length - length ? file.Span(at, length) : throw Broken("an offset points beyond its end");

    private InputException Broken(string why) => new($"{path} is a damaged archive: {why}. Download or save it again.");

    private static int U16(ReadOnlySpan<byte> at) => BinaryPrimitives.ReadUInt16LittleEndian(at);

    private static uint U32(ReadOnlySpan<byte> at) => BinaryPrimitives.ReadUInt32LittleEndian(at);

    private static ulong U64(ReadOnlySpan<byte> at) => BinaryPrimitives.ReadUInt64LittleEndian(at);
}

/// <summary>An uncompressed file inside a zip archive.</summary>
/// <param name="Name">Its path in the archive.</param>
/// <param name="Begin">Offset of its first byte in the archive.</param>
/// <param name="Length">Its length in bytes.</param>
internal sealed record ZipEntry(string Name, long Begin, long Length);
