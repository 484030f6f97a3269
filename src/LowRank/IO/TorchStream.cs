using System.Buffers.Binary;

namespace LowRank.IO;

/// <summary>The format of torch.save before version 1.6: consecutive pickles (a magic number, the version, the machine,
/// the content, the storages' keys), then the storages' data.</summary>
/// <remarks>Source: torch/serialization.py, _legacy_save. <see cref="PickleReader"/> reads the pickles with its list of
/// allowed names.</remarks>
internal sealed class TorchStream(string path, MappedFile file)
{
    private const int Most = 256 << 20; // of pickle: a list of tensors has no more

    // The magic number and the version, each as a pickle of protocol 2.
    private static readonly byte[] Start =
        [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, (byte)'.', 0x80, 2, (byte)'M',
            0xe9, 3, (byte)'.'];

    private long at = Start.Length;

    /// <summary>Whether a file starts like this format.</summary>
    public static bool IsOne(MappedFile file) =>
        file.Length >= Start.Length && file.Span(0, Start.Length).SequenceEqual(Start);

    /// <summary>The file's dictionary, and the position of each storage's data.</summary>
    /// <exception cref="InputException">The file is damaged, from a big-endian machine, or its pickle refers to a name
    /// that is not on the list.</exception>
    public (object? Content, IReadOnlyDictionary<string, ZipEntry> Storages) Read()
    {
        if (Next() is PickleMap machine && machine.Entries.Exists(entry => entry is ("little_endian", false)))
            throw new InputException(
                $"{path} was saved on a big-endian machine. Load it in Python and save it as safetensors.");
        object? content = Next();
        if (Next() is not List<object?> keys) throw Broken("the list of its storages is missing");
        List<(object? Key, object? Value)> entries = (content as PickleMap)?.Entries ?? [];
        // the reader rejects it
        if (entries.Exists(entry => entry.Value is not PickleTensor))
            return (content, new Dictionary<string, ZipEntry>());
        Dictionary<string, int> sizes = [];
        foreach (PickleTensor tensor in entries.Select(entry => (PickleTensor)entry.Value!))
            sizes[tensor.Storage.Key] = SafeTensorsDataType.Find(tensor.Storage.DataType)!.Bits / 8;
        var storages = new Dictionary<string, ZipEntry>();
        foreach (object? key in keys)
        {
            // A storage that no tensor in the dictionary uses has no known size.
            if (key is not string name || !sizes.TryGetValue(name, out int size))
                throw Broken($"the storage {key ?? "null"} belongs to no tensor");
            if (at > file.Length - sizeof(long)) throw Broken("it ends before its numbers");
            long count = BinaryPrimitives.ReadInt64LittleEndian(file.Span(at, sizeof(long))), begin = at + sizeof(long);
            if (count < 0 || count > (file.Length - begin) / size)
                throw Broken($"the storage {name} has {count} numbers, more than the file");
            if (!storages.TryAdd(name, new ZipEntry(name, begin, count * size)))
                throw Broken($"the storage {name} is in it twice");
            at = begin + count * size;
        }
        return (content, storages);
    }

    private object? Next()
    {
        var reader = new PickleReader(path, file.Memory(at, (int)Math.Min(Most, file.Length - at)));
        object? value = reader.Read();
        at += reader.Position;
        return value;
    }

    private InputException Broken(string why) => new($"{path} is damaged: {why}. Download or save it again.");
}
