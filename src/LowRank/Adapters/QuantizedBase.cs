using System.Text.Json.Nodes;
using LowRank.Models;
using LowRank.Quantization;
using LowRank.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>The weights of a model that its folder or the model keeps quantised, for merging: they are expanded, changed in float32 and
/// rounded to a dtype.</summary>
internal sealed class QuantizedBase
{
    private readonly INetwork network;
    private readonly Checkpoint checkpoint;
    private readonly CheckpointWeights source;
    private readonly Dictionary<string, PackedWeight> packed;
    private readonly Dictionary<string, Tensor> expanded;
    private readonly Dictionary<string, bool> isTransposed;
    private readonly ScalarType type;

    public QuantizedBase(PretrainedModel model, Checkpoint checkpoint, ScalarType? dtype)
    {
        (network, this.checkpoint) = (model.Network, checkpoint);
        source = new CheckpointWeights(checkpoint, model.Folder);
        packed = network.PackedWeights.ToDictionary(weight => network.StoredName(weight.Key), weight => weight.Value);
        // A quantised folder that was opened in float32 has its weights expanded already.
        expanded = network.Parameters.Where(weight => source.Quantized(network.StoredName(weight.Key)) is not null)
            .ToDictionary(weight => network.StoredName(weight.Key), weight => weight.Value);
        isTransposed = network.Projections.ToDictionary(layer => network.StoredName(layer.Path + ".weight"), layer => layer.StoresTransposed);
        type = dtype ?? source.Names.Where(name => source.Quantized(name) is null && checkpoint.Entries[name].DataType is "F32" or "BF16" or "F16")
            .Select(name => checkpoint.Entries[name].Type).FirstOrDefault(ScalarType.Float32);
        string? format = packed.Values.Select(weight => weight.Format).Concat(source.QuantizedWeights.Values.Select(weight => weight.Format)).FirstOrDefault();
        Report = new MergeReport(format, Text, new MergeRounding(), new MergeRounding());
    }

    /// <summary>The names of the folder's weights.</summary>
    public IReadOnlyCollection<string> Names => source.Names;

    public MergeReport Report { get; }

    private string Text => type switch { ScalarType.BFloat16 => "bfloat16", ScalarType.Float16 => "float16", _ => "float32" };

    public bool Has(string name) => packed.ContainsKey(name) || expanded.ContainsKey(name);

    /// <summary>A weight with all changes, as the model's own file would have it.</summary>
    public Tensor Merge(string name, MergedChanges changes)
    {
        using var scope = NewDisposeScope();
        Tensor wide = expanded.TryGetValue(name, out Tensor? known) ? known.cpu() : packed[name].Expand().cpu();
        if (known is null && isTransposed.GetValueOrDefault(name)) wide = wide.t().contiguous();
        if (source.Quantized(name) is null) Report.Quantization.Add(checkpoint.Map(name), wide);
        Tensor merged = changes.Apply(name, wide), written = merged.to(type);
        if (!FiniteOutput.Holds(written))
            throw new NonFiniteException($"{name}: the merged weight is not finite in {Text}. Write it in float32 or bfloat16 (--dtype).");
        Report.Rounding.Add(merged, written);
        return written.MoveToOuterDisposeScope();
    }

    /// <summary>Says in a config.json what was written.</summary>
    public void Describe(JsonObject config)
    {
        if (Report.Format is null) return;
        config.Remove(QuantizationConfig.Key);
        config[config.ContainsKey("torch_dtype") ? "torch_dtype" : "dtype"] = Text;
    }
}
