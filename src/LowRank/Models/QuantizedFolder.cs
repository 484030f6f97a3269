using System.Text.Json.Nodes;
using LowRank.IO;
using LowRank.Quantization;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models;

/// <summary>Writes a model with quantised linear layers in transformers' bitsandbytes format.</summary>
public static class QuantizedFolder
{
    /// <summary>Writes the folder: packed weights with their companion tensors, everything else as stored in the
    /// model's folder, and config.json with its <c>quantization_config</c>.</summary>
    /// <param name="model">The model, opened in the format to write.</param>
    /// <param name="target">The folder to create; it appears complete or not at all.</param>
    /// <exception cref="InputException">The model is not quantised, bitsandbytes lacks its format, it is not on the
    /// processor, or the target is the model's own folder.</exception>
    public static void Write(PretrainedModel model, string target)
    {
        INetwork network = model.Network;
        string[] formats = [.. network.QuantizedWeights.Select(weight => weight.Value.Format).Distinct()];
        if (formats is not [var format] || !WeightFormats.Get(format)!.IsWritable)
            throw new InputException(
                $"{model.Folder} is opened as {(formats.Length == 0 ? "float32" : string.Join(", ", formats))}; a " +
                "quantised folder can be written of " +
                $"{string.Join(" or ", WeightFormats.All.Where(known => known.IsWritable)
                    .Select(known => known.Name))}.");
        if (network.OutputHead is { Packed: { IsWorkingCopy: false, Table: null } })
            throw new InputException(
                $"{model.Folder} is opened with its output head in {format} too, which transformers keeps " +
                "unquantised. Open it with the head in float32.");
        if (network.PackedWeights.Values.Any(weight => weight.IsOnDevice))
            throw new InputException(
                $"{model.Folder} is opened on {network.Device}; a quantised folder is written of a model on the " +
                "processor. Open it with device cpu.");
        using var scope = NewDisposeScope();
        using Checkpoint checkpoint = Checkpoint.Open(model.Folder);
        var source = new CheckpointWeights(checkpoint, model.Folder);
        Dictionary<string, PackedWeight> packed = network.QuantizedWeights.ToDictionary(
            weight => network.StoredName(weight.Key), weight => weight.Value);
        var tensors = new List<KeyValuePair<string, Tensor>>();
        foreach (string name in source.Names)
        {
            if (packed.TryGetValue(name, out PackedWeight? weight))
                tensors.AddRange(weight.Stored(name, Original(checkpoint, source, name)));
            else if (source.Quantized(name) is null) tensors.Add(KeyValuePair.Create(name, checkpoint.Map(name)));
            else
                throw new InputException(
                    $"{name} is quantised in {model.Folder} and is none of the weights that the model computes " +
                    "with; quantise the original model instead.");
        }
        ModelFolder.Write(
            model.Folder, target, tensors, config =>
            config[QuantizationConfig.Key] = QuantizationConfig.Section(format, Kept(network)));
    }

    /// <summary>Paths of the linear layers that are not packed, and of the head.</summary>
    private static IEnumerable<string> Kept(INetwork network)
    {
        IEnumerable<Layers.Linear> all = network.LinearLayers;
        if (network.OutputHead is { } head) all = all.Append(head);
        if (network is ISequenceNetwork { Head: { } top }) all = all.Concat(top.Layers);
        IEnumerable<string> paths = all.Where(layer => layer.Packed is null or { IsWorkingCopy: true })
            .Select(layer => network.ModulePath(layer.Path));
        // For a model opened without its head, the head's name is still listed, so programs that open it with one do
        // not quantise it.
        return paths.Append("lm_head").Distinct();
    }

    private static string Original(Checkpoint checkpoint, CheckpointWeights source, string name)
    {
        // the dtype before the file was written, which expanded values get
        if (source.Quantized(name) is not null) return "float32";
        return checkpoint.Entries[name].Type switch
        {
            ScalarType.BFloat16 => "bfloat16",
            ScalarType.Float16 => "float16",
            _ => "float32",
        };
    }
}
