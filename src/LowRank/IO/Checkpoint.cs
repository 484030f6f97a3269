using System.Text.Json;
using System.Text.Json.Nodes;
using TorchSharp;

namespace LowRank.IO;

/// <summary>The weights of a model folder: one <c>model.safetensors</c>, or shards listed by
/// <c>model.safetensors.index.json</c>, memory-mapped (<see cref="SafeTensorsFile"/>).</summary>
public sealed class Checkpoint : IDisposable
{
    /// <summary>The weights file in a folder.</summary>
    public const string SingleFileName = "model.safetensors";

    /// <summary>The shard index in a folder.</summary>
    public const string IndexFileName = "model.safetensors.index.json";

    /// <summary>The weights file of older checkpoints: a pickle, read with a list of allowed names.</summary>
    public const string PickleFileName = "pytorch_model.bin";

    /// <summary>The shard index of a pickled checkpoint.</summary>
    public const string PickleIndexFileName = "pytorch_model.bin.index.json";

    private readonly Dictionary<string, SafeTensorsFile> owners;

    private Checkpoint(string path, IReadOnlyList<SafeTensorsFile> files)
    {
        Path = path;
        Files = files;
        var entries = new OrderedDictionary<string, SafeTensorsEntry>();
        owners = [];
        foreach (SafeTensorsFile file in files)
            foreach ((string name, SafeTensorsEntry entry) in file.Entries)
            {
                entries.Add(name, entry);
                owners.Add(name, file);
            }
        Entries = entries;
    }

    /// <summary>The folder or file that was opened.</summary>
    public string Path { get; }

    /// <summary>The open files, shards in name order.</summary>
    public IReadOnlyList<SafeTensorsFile> Files { get; }

    /// <summary>All tensors by name, from all files.</summary>
    public IReadOnlyDictionary<string, SafeTensorsEntry> Entries { get; }

    /// <summary>Opens a folder or a file.</summary>
    /// <param name="folderOrFile">A folder with <see cref="SingleFileName"/> (preferred, as in transformers) or
    /// <see cref="IndexFileName"/>, else <see cref="PickleFileName"/> or <see cref="PickleIndexFileName"/>; or a
    /// <c>.safetensors</c> file; or an index.</param>
    /// <exception cref="InputException">There are no weights, only weights in another format, or a file is invalid; the
    /// message lists all problems of all files.</exception>
    /// <remarks>Tensors of a shard that the index does not list are part of the checkpoint, as in
    /// transformers.</remarks>
    public static Checkpoint Open(string folderOrFile)
    {
        string file = Directory.Exists(folderOrFile) ? FindIn(folderOrFile) : folderOrFile;
        return file.EndsWith(".json", StringComparison.OrdinalIgnoreCase)
            ? OpenShards(folderOrFile, file)
            : new Checkpoint(folderOrFile, [SafeTensorsFile.OpenAny(file)]);
    }

    /// <summary>Creates a CPU tensor over the file's own memory.</summary>
    /// <inheritdoc cref="SafeTensorsFile.Map(string)"/>
    public torch.Tensor Map(string name) => owners.TryGetValue(name, out SafeTensorsFile? file)
        ? file.Map(name)
        : throw new KeyNotFoundException($"{Path} has no tensor '{name}'.");

    /// <inheritdoc cref="SafeTensorsFile.Digest(string)"/>
    internal byte[] Digest(string name) => owners[name].Digest(name);

    /// <summary>Releases the pages of a tensor; they are read again on the next use.</summary>
    public void Release(string name) => owners[name].Release(name);

    /// <summary>Closes the files; tensors created from them stay valid.</summary>
    public void Dispose()
    {
        foreach (SafeTensorsFile file in Files) file.Dispose();
    }

    private static string FindIn(string folder)
    {
        foreach (string name in new[] { SingleFileName, IndexFileName, PickleFileName, PickleIndexFileName })
        {
            string path = System.IO.Path.Combine(folder, name);
            if (File.Exists(path)) return path;
        }
        string[] names = [.. Directory.EnumerateFiles(folder).Select(path => System.IO.Path.GetFileName(path)).Order()];
        if (names.Contains("adapter_model.safetensors"))
            throw new InputException(
                $"{folder} holds an adapter (adapter_model.safetensors), not a model. Expected {SingleFileName} or " +
                $"{IndexFileName}. Give this folder as the adapter, and the folder of its base model as the model.");
        string found = names.Length == 0 ? "no files"
            : string.Join(", ", names.Take(20)) + (names.Length > 20 ? ", …" : "");
        throw new InputException(
            $"{folder} holds no weights: expected {SingleFileName}, {IndexFileName}, {PickleFileName} or " +
            $"{PickleIndexFileName}, found {found}.");
    }

    private static Checkpoint OpenShards(string path, string indexPath)
    {
        CheckpointIndex index = CheckpointIndex.Read(indexPath);
        string folder = System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(indexPath))!;
        var problems = new List<string>();
        var files = new SortedDictionary<string, SafeTensorsFile>(StringComparer.Ordinal);
        bool complete = false;
        try
        {
            foreach (IGrouping<string, KeyValuePair<string, string>> shard in index.WeightMap.GroupBy(
                pair => pair.Value))
            {
                string file = System.IO.Path.Combine(folder, shard.Key);
                if (!File.Exists(file))
                {
                    problems.Add(
                        $"the shard {shard.Key} is missing; the index takes {shard.Count()} tensors from it, " +
                        $"such as '{shard.First().Key}'. Download it again");
                    continue;
                }
                try
                {
                    files.Add(shard.Key, SafeTensorsFile.OpenAny(file));
                }
                catch (InputException e)
                {
                    problems.AddRange(e.Problems.Select(problem =>
                        problem.Contains(file, StringComparison.Ordinal) ? problem : $"{shard.Key}: {problem}"));
                }
            }
            CheckShards(index, files, problems);
            if (problems.Count > 0) throw new InputException($"{indexPath} and its shards cannot be used:", problems);
            complete = true;
            return new Checkpoint(path, [.. files.Values]);
        }
        finally
        {
            if (!complete)
                foreach (SafeTensorsFile file in files.Values) file.Dispose();
        }
    }

    private static void CheckShards(
        CheckpointIndex index, SortedDictionary<string, SafeTensorsFile> files, List<string> problems)
    {
        foreach ((string name, string shard) in index.WeightMap)
        {
            if (!files.TryGetValue(shard, out SafeTensorsFile? file) || file.Entries.ContainsKey(name)) continue;
            string[] elsewhere =
                [.. files.Where(other => other.Value.Entries.ContainsKey(name)).Select(other => other.Key)];
            problems.Add($"tensor '{name}' is not in {shard}, where the index places it" +
                (elsewhere.Length > 0 ? $"; it is in {string.Join(", ", elsewhere)}" : ""));
        }
        var holders = new Dictionary<string, string>();
        foreach ((string shard, SafeTensorsFile file) in files)
            foreach (string name in file.Entries.Keys)
                if (!holders.TryAdd(name, shard))
                    problems.Add($"tensor '{name}' is in two shards, {holders[name]} and {shard}");
    }
}

/// <summary>The shard index of a checkpoint, <c>model.safetensors.index.json</c>.</summary>
/// <param name="WeightMap">For each tensor, the name of the file that contains it, in file order.</param>
internal sealed record CheckpointIndex(IReadOnlyDictionary<string, string> WeightMap)
{
    /// <summary>Reads and checks an index.</summary>
    /// <exception cref="InputException">The file is not a valid index; the message lists all problems.</exception>
    public static CheckpointIndex Read(string path)
    {
        if (!File.Exists(path))
            throw new InputException($"{path} does not exist; expected the index of a checkpoint's shards.");
        if (JsonObjects.Read(path)["weight_map"] is not JsonObject map)
            throw new InputException(
                $"{path} has no object 'weight_map'; expected one that names the file of each tensor.");
        string extension = path.EndsWith(Checkpoint.PickleIndexFileName, StringComparison.Ordinal) ? ".bin"
            : ".safetensors";
        var problems = new List<string>();
        var weights = new OrderedDictionary<string, string>();
        foreach ((string name, JsonNode? value) in map)
        {
            string? file = value?.GetValueKind() == JsonValueKind.String ? value.GetValue<string>() : null;
            if (file is null)
                problems.Add(
                    $"weight_map: the value of '{name}' is {value?.ToJsonString() ?? "null"}; expected the name of " +
                    "a file");
            else if (!IsPlainName(file, extension))
                problems.Add(
                    $"weight_map: '{name}' is placed in '{file}'; expected the name of a {extension} file in the " +
                    "index's own folder");
            else
                weights.Add(name, file);
        }
        if (weights.Count == 0 && problems.Count == 0)
            problems.Add("weight_map is empty; expected at least one tensor");
        if (problems.Count > 0) throw new InputException($"{path} cannot be used:", problems);
        return new CheckpointIndex(weights);
    }

    // An index is downloaded data: a name with a folder in it could refer to any file on the machine.
    private static bool IsPlainName(string file, string extension) =>
        file.EndsWith(extension, StringComparison.Ordinal) && file.IndexOfAny(['/', '\\', ':', '\0']) < 0;
}
