using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.RegularExpressions;
using TorchSharp;

namespace LowRank.IO;

/// <summary>Writes a model's weights into a folder like transformers: one file, or shards with an index.</summary>
/// <remarks>Source: huggingface_hub, <c>split_state_dict_into_shards_factory</c>.</remarks>
internal static partial class CheckpointWriter
{
    /// <summary>The default maximum shard size: 5 GB (5·10⁹ bytes), as in transformers.</summary>
    public const long DefaultMaximumShardBytes = 5_000_000_000;

    private static readonly JsonSerializerOptions IndexStyle = new()
    {
        WriteIndented = true,
        NewLine = "\n",
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>Writes <c>model.safetensors</c>, or, if the tensors exceed <paramref name="maximumShardBytes"/>,
    /// <c>model-00001-of-0000N.safetensors</c> and the index. Then removes files of the other kind from an earlier save
    /// in the same folder.</summary>
    /// <param name="folder">The folder; created if missing.</param>
    /// <param name="tensors">Names and tensors, in the order in which they fill the shards.</param>
    /// <param name="metadata">As in <see cref="SafeTensorsWriter.Write"/>.</param>
    /// <param name="maximumShardBytes">The maximum data size of a shard in bytes; a larger tensor gets its own
    /// shard.</param>
    /// <returns>The files written.</returns>
    /// <exception cref="InputException">As in <see cref="SafeTensorsWriter.Write"/>; nothing is written.</exception>
    /// <remarks>Each file is written atomically. To replace a sharded checkpoint in one step, write to a new folder and
    /// rename it.</remarks>
    public static IReadOnlyList<string> Write(
        string folder, IReadOnlyList<KeyValuePair<string, torch.Tensor>> tensors,
        IReadOnlyDictionary<string, string>? metadata = null, long maximumShardBytes = DefaultMaximumShardBytes)
    {
        SafeTensorsWriter.Check(folder, tensors);
        return WriteOneByOne(folder, SafeTensorsWriter.Lazily(tensors), metadata, maximumShardBytes);
    }

    /// <summary>As <see cref="Write"/>, of weights that are computed when they are written: one is in memory at a
    /// time.</summary>
    internal static IReadOnlyList<string> WriteOneByOne(
        string folder, IReadOnlyList<KeyValuePair<string, LazyWeight>> weights,
        IReadOnlyDictionary<string, string>? metadata = null, long maximumShardBytes = DefaultMaximumShardBytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(maximumShardBytes);
        SafeTensorsWriter.Check(folder, weights);
        List<List<KeyValuePair<string, LazyWeight>>> shards = Split(weights, maximumShardBytes);
        var written = new List<string>();
        var places = new SortedDictionary<string, string>(StringComparer.Ordinal);
        for (int i = 0; i < shards.Count; i++)
        {
            string name = shards.Count == 1 ? Checkpoint.SingleFileName
                : $"model-{i + 1:00000}-of-{shards.Count:00000}.safetensors";
            SafeTensorsWriter.WriteOneByOne(Path.Combine(folder, name), shards[i], metadata);
            written.Add(Path.Combine(folder, name));
            foreach ((string key, _) in shards[i]) places.Add(key, name);
        }
        if (shards.Count > 1)
        {
            string index = Path.Combine(folder, Checkpoint.IndexFileName);
            AtomicFile.Write(index, Index(places, weights.Sum(pair => SafeTensorsWriter.Bytes(pair.Value))));
            written.Add(index);
        }
        RemoveOthers(folder, written);
        return written;
    }

    private static List<List<KeyValuePair<string, LazyWeight>>> Split(
        IReadOnlyList<KeyValuePair<string, LazyWeight>> weights, long maximum)
    {
        var shards = new List<List<KeyValuePair<string, LazyWeight>>>();
        var current = new List<KeyValuePair<string, LazyWeight>>();
        long size = 0;
        foreach (KeyValuePair<string, LazyWeight> pair in weights)
        {
            long bytes = SafeTensorsWriter.Bytes(pair.Value);
            if (bytes > maximum)
            {
                shards.Add([pair]);
                continue;
            }
            if (size + bytes > maximum)
            {
                shards.Add(current);
                (current, size) = ([], 0);
            }
            current.Add(pair);
            size += bytes;
        }
        if (current.Count > 0 || shards.Count == 0) shards.Add(current);
        return shards;
    }

    private static string Index(SortedDictionary<string, string> places, long totalBytes) => JsonSerializer.Serialize(
        new Dictionary<string, object>
        {
            ["metadata"] = new Dictionary<string, long> { ["total_size"] = totalBytes },
            ["weight_map"] = places,
        }, IndexStyle) + "\n";

    private static void RemoveOthers(string folder, List<string> written)
    {
        // If left in place, they would be loaded instead of, or in addition to, the new files.
        bool removed = false;
        foreach (string file in Directory.GetFiles(folder))
        {
            string name = Path.GetFileName(file);
            if (name is not (Checkpoint.SingleFileName or Checkpoint.IndexFileName) && !ShardName().IsMatch(name))
                continue;
            if (written.Exists(other => Path.GetFileName(other) == name)) continue;
            File.Delete(file);
            removed = true;
        }
        if (removed) AtomicFile.FlushFolder(folder);
    }

    [GeneratedRegex(
        @"^model-\d{5}-of-\d{5}\.safetensors$", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture)]
    private static partial Regex ShardName();
}
