using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using LowRank.IO;
using LowRank.Quantization;

namespace LowRank.Models;

/// <summary>The contents of a checkpoint, read only from its headers; works for any model, including ones that LowRank
/// cannot run.</summary>
/// <param name="ModelType">The config's <c>model_type</c>; null without a config.</param>
/// <param name="Parameters">Number of stored parameters; a head that shares the embedding's weight is stored
/// once.</param>
/// <param name="Layers">Number of layers, from the config or otherwise from the tensors' names; null if
/// unknown.</param>
/// <param name="DataTypes">Number of parameters per dtype, most first; for a quantised weight the dtype is its format,
/// such as nf4.</param>
/// <param name="Bytes">Size of all tensors in bytes.</param>
/// <param name="Tensors">Number of tensors.</param>
/// <param name="Files">Number of weight files.</param>
public sealed partial record ModelSummary(
    string? ModelType, long Parameters, int? Layers, IReadOnlyList<KeyValuePair<string, long>> DataTypes, long Bytes,
        int Tensors, int Files)
{
    private static readonly string[] LayerKeys = ["num_hidden_layers", "n_layer", "num_layers", "n_layers"];

    /// <summary>Reads a Hugging Face folder or a safetensors file.</summary>
    /// <exception cref="InputException">There are no weights, or a file is invalid.</exception>
    public static ModelSummary Read(string folderOrFile)
    {
        using Checkpoint checkpoint = Checkpoint.Open(folderOrFile);
        JsonObject? config = Config(Path.Combine(folderOrFile, "config.json"));
        IReadOnlyCollection<SafeTensorsEntry> entries = [.. checkpoint.Entries.Values];
        IReadOnlyDictionary<string, StoredMatrix> quantized = BitsAndBytesReader.Read(checkpoint);
        HashSet<string> parts = [.. quantized.Values.SelectMany(matrix => matrix.Names)];
        // A quantised weight counts as the parameters that it represents; its scales do not count.
        (string Type, long Count)[] weights =
        [
            .. entries.Where(entry => !parts.Contains(entry.Name))
                .Select(entry => (entry.DataType, entry.ElementCount)),
            .. quantized.Values.Select(matrix => (matrix.Format, matrix.Rows * matrix.Columns)),
        ];
        return new ModelSummary(
            config?["model_type"] is JsonValue type && type.TryGetValue(out string? name) ? name : null,
            weights.Sum(weight => weight.Count),
            LayersOf(config) ?? LayersOf(entries),
            [.. weights.GroupBy(weight => weight.Type)
                .Select(group => KeyValuePair.Create(group.Key, group.Sum(weight => weight.Count)))
                .OrderByDescending(pair => pair.Value)],
            entries.Sum(entry => entry.Bytes),
            entries.Count,
            checkpoint.Files.Count);
    }

    private static JsonObject? Config(string path)
    {
        return File.Exists(path) ? JsonObjects.Read(path) : null;
    }

    private static int? LayersOf(JsonObject? config)
    {
        foreach (string key in LayerKeys)
            if (config?[key] is JsonValue value && value.TryGetValue(out int layers)) return layers;
        return null;
    }

    // model.layers.11.… belongs to the twelfth layer.
    private static int? LayersOf(IEnumerable<SafeTensorsEntry> entries)
    {
        int[] numbers =
            [.. entries.Select(entry => LayerNumber().Match(entry.Name)).Where(match => match.Success)
            .Select(match => int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture))];
        return numbers.Length == 0 ? null : numbers.Max() + 1;
    }

    [GeneratedRegex(@"(?:^|\.)(?:layers?|h|blocks?)\.([0-9]{1,4})\.")]
    private static partial Regex LayerNumber();
}
