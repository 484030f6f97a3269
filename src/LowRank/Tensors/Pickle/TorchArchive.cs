namespace LowRank.Tensors.Pickle;

/// <summary>The tensors of a file that torch.save wrote (<c>pytorch_model.bin</c>): listed without running its pickle, mapped where they lie.</summary>
internal static class TorchArchive
{
    private const string PickleName = "/data.pkl", OrderName = "/byteorder";
    private const int MostPickleBytes = 256 << 20;

    /// <summary>Whether a name is one of torch's files.</summary>
    public static bool IsNamed(string path) => path.EndsWith(".bin", StringComparison.OrdinalIgnoreCase) || path.EndsWith(".pt", StringComparison.OrdinalIgnoreCase) || path.EndsWith(".pth", StringComparison.OrdinalIgnoreCase);

    /// <summary>The tensors by name, with their places in the file.</summary>
    /// <param name="path">For messages.</param>
    /// <param name="file">The file, mapped.</param>
    /// <exception cref="InputException">The file is none of torch's, is damaged, asks for code, or holds no flat dictionary of tensors: all of the tensors' problems at once.</exception>
    public static IReadOnlyDictionary<string, SafeTensorsEntry> Read(string path, MappedFile file)
    {
        if (TorchStream.IsOne(file))
        {
            (object? content, IReadOnlyDictionary<string, ZipEntry> storages) = new TorchStream(path, file).Read();
            return Tensors(path, key => key, Map(path, content), storages);
        }
        IReadOnlyDictionary<string, ZipEntry> entries = new ZipDirectory(path, file).Read();
        string[] pickles = [.. entries.Keys.Where(name => name.EndsWith(PickleName, StringComparison.Ordinal))];
        if (pickles is not [var only]) throw new InputException($"{path} holds {pickles.Length} files data.pkl; expected one, as torch.save writes.");
        string root = only[..^PickleName.Length];
        if (entries.TryGetValue(root + OrderName, out ZipEntry? order) && order.Length == 3 && file.Span(order.Begin, 3).SequenceEqual("big"u8))
            throw new InputException($"{path} was saved on a big-endian machine. Load it in Python and save it as safetensors.");
        ZipEntry pickle = entries[only];
        if (pickle.Length > MostPickleBytes) throw new InputException($"{path}: its pickle is {pickle.Length} bytes long; a list of tensors has at most {MostPickleBytes}.");
        object? value = new PickleReader(path, file.Span(pickle.Begin, (int)pickle.Length).ToArray()).Read();
        return Tensors(path, key => $"{root}/data/{key}", Map(path, value), entries);
    }

    private static PickleMap Map(string path, object? value) => value as PickleMap
        ?? throw new InputException($"{path} holds no dictionary of tensors. Expected what torch.save(model.state_dict(), …) writes.");

    private static OrderedDictionary<string, SafeTensorsEntry> Tensors(string path, Func<string, string> place, PickleMap map, IReadOnlyDictionary<string, ZipEntry> files)
    {
        var found = new OrderedDictionary<string, SafeTensorsEntry>();
        var problems = new List<string>();
        foreach ((object? key, object? value) in map.Entries)
        {
            if (key is not string name) problems.Add("a key is no text");
            else if (value is not PickleTensor tensor) problems.Add($"'{name}' is no tensor{(value is PickleMap ? " but a dictionary: expected what torch.save(model.state_dict(), …) writes, not a whole training state" : "")}");
            else if (Place(path, place, name, tensor, files, out string? problem) is { } entry) found[name] = entry;
            else problems.Add($"'{name}': {problem}");
            if (problems.Count == 20) break;
        }
        return problems.Count == 0 ? found : throw new InputException($"{path} cannot be used as weights:", problems);
    }

    private static SafeTensorsEntry? Place(string path, Func<string, string> place, string name, PickleTensor tensor, IReadOnlyDictionary<string, ZipEntry> files, out string? problem)
    {
        PickleStorage storage = tensor.Storage;
        int size = SafeTensorsDataType.Find(storage.DataType)!.Bits / 8;
        UInt128 count = tensor.Shape.Aggregate((UInt128)1, (product, length) => product > ulong.MaxValue ? product : product * (ulong)length);
        if (!files.TryGetValue(place(storage.Key), out ZipEntry? file)) problem = $"its numbers, data/{storage.Key}, are not in the file";
        else if (storage.Count > file.Length / size) problem = $"data/{storage.Key} has {file.Length} bytes, expected {storage.Count} numbers of {size}";
        else if (tensor.Offset < 0 || count > (ulong)storage.Count || (ulong)tensor.Offset + count > (ulong)storage.Count) problem = $"[{string.Join(", ", tensor.Shape)}] from {tensor.Offset} on reaches beyond its {storage.Count} numbers";
        else if (!tensor.IsContiguous) problem = "it is a view with gaps or turned (not contiguous); save the checkpoint with .contiguous() tensors, or as safetensors";
        else
        {
            problem = null;
            long begin = file.Begin + tensor.Offset * size;
            return new SafeTensorsEntry(name, storage.DataType, tensor.Shape, begin, begin + (long)count * size, path);
        }
        return null;
    }
}
