using System.Text.Json.Nodes;
using LowRank.Adapters.Files;
using LowRank.IO;
using LowRank.Models;
using LowRank.Quantization;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>The base that an adapter was trained on. Stored in a file next to PEFT's two, which PEFT ignores.</summary>
/// <param name="BaseDtype">The required format of the base's linear weights, one of <see cref="WeightFormats.Names"/>,
/// for an adapter whose pairs started as the quantisation error of the weights (LoftQ) and which is only valid with
/// that format. Null if any format works.</param>
/// <param name="BaseSha">The fingerprint of the base's weights (<see cref="PretrainedModel.Fingerprint"/>); null if
/// unknown.</param>
public sealed record AdapterBase(string? BaseDtype = null, string? BaseSha = null)
{
    /// <summary>The file's name in an adapter folder.</summary>
    public const string FileName = "lowrank_base.json";

    /// <summary>Reads the file of an adapter folder; null if there is none.</summary>
    /// <exception cref="InputException">The file is invalid or contains an unknown format.</exception>
    public static AdapterBase? Load(string folder)
    {
        AdapterBase? read = SidecarFile.Load<AdapterBase>(folder, FileName, "on any base", _ => null);
        if (read is null) return null;
        if (read.BaseSha is { } sha && !BaseFingerprint.IsOne(sha))
            throw new InputException(
                $"{Path.Combine(folder, FileName)}: base_sha is {sha}, expected 64 hexadecimal digits in lower " +
                "case. Restore the file, or remove base_sha.");
        if (read.BaseDtype is null ? read.BaseSha is not null
            : WeightFormats.All.Any(format => format.Name == read.BaseDtype))
            return read;
        throw new InputException(
            $"{Path.Combine(folder, FileName)}: base_dtype is {read.BaseDtype ?? "missing, as is base_sha"}, " +
            $"expected one of {string.Join(", ", WeightFormats.All.Select(format => format.Name))}. " +
            "Restore the file: the adapter is right beside a base in one format alone.");
    }

    /// <summary>The format in which to open a base for adapters.</summary>
    /// <param name="folders">The adapters' folders.</param>
    /// <param name="baseDtype">The format that the user requests, one of <see cref="WeightFormats.Names"/>.</param>
    /// <returns>The same format, or for <see cref="WeightFormats.Auto"/> the one that an adapter needs.</returns>
    /// <exception cref="InputException">A folder's file is invalid.</exception>
    public static string DtypeFor(IEnumerable<string> folders, string baseDtype) =>
        baseDtype != WeightFormats.Auto ? baseDtype
            : folders.Select(Load).FirstOrDefault(needed => needed?.BaseDtype is not null)?.BaseDtype ?? baseDtype;

    /// <summary>Writes the file into a folder.</summary>
    public void Save(string folder) => SidecarFile.Save(this, folder, FileName);

    /// <summary>The requirements of a new adapter on a model; null if any base with these weights works.</summary>
    internal static AdapterBase? Of(INetwork network, AdapterConfig config) =>
        config is LoraConfig lora && LoraInitializers.Find(lora.InitLoraWeights.Name).NeedsSameBase
            && Formats(network) is [var format, ..] ? new AdapterBase(format) : null;

    /// <summary>The requirements of a combination of adapters; null if nothing is known. Adapters of different bases
    /// result in no base.</summary>
    /// <exception cref="InputException">Two need different formats.</exception>
    internal static AdapterBase? Common(IEnumerable<AdapterBase?> given)
    {
        AdapterBase[] known = [.. given.OfType<AdapterBase>()];
        string[] needed = [.. known.Select(one => one.BaseDtype).OfType<string>().Distinct()],
            bases = [.. known.Select(one => one.BaseSha).OfType<string>().Distinct()];
        if (needed.Length > 1)
            throw new InputException(
                $"The adapters need bases in different formats, {string.Join(" and ", needed)}, and no base is in " +
                "both. Merge each into its own base first ('lowrank merge').");
        var common = new AdapterBase(needed is [var format] ? format : null, bases is [var sha] ? sha : null);
        return common is { BaseDtype: null, BaseSha: null } ? null : common;
    }

    /// <summary>A warning that a base is not the one that an adapter was trained on; null if it is, or if that is
    /// unknown.</summary>
    internal string? Mismatch(string folder, PretrainedModel model, string? trainedOn) =>
        BaseSha is null || model.Fingerprint is not { } found || found == BaseSha ? null
            : $"{folder} was trained beside another base{(trainedOn is null ? "" : $", {trainedOn}")}: the weights " +
            $"of {model.Folder} have the fingerprint {BaseFingerprint.Short(found)}…, and the adapter's base had " +
            $"{BaseFingerprint.Short(BaseSha)}… (base_sha in {FileName}). What it learned is a change of other " +
                "weights; give the base that it was trained on.";

    /// <summary>Rejects a base that would give wrong results with the adapter.</summary>
    /// <param name="folder">The adapter's folder.</param>
    /// <param name="model">The base.</param>
    /// <exception cref="InputException">The base is in another format.</exception>
    internal void Require(string folder, PretrainedModel model)
    {
        if (BaseDtype is null) return;
        IReadOnlyList<string> formats = Formats(model.Network);
        // expanding a packed weight does not change it
        if (formats.Contains(BaseDtype) || (formats.Count == 0 && StoredFormats(model.Folder).Contains(BaseDtype)))
            return;
        throw new InputException(
            $"{folder} began as what {BaseDtype} takes from the base's weights (LoftQ) and is right beside a base " +
            $"in {BaseDtype} alone, but {model.Folder} was opened in " +
            $"{(formats.Count == 0 ? WeightFormats.Float32 : string.Join(" and ", formats))}. Open it in " +
                $"{BaseDtype}.") { Remedy = new InputRemedy(InputRemedy.BaseDtype, BaseDtype) };
    }

    private static IReadOnlyList<string> Formats(INetwork network) =>
        [.. network.PackedWeights.Values.Select(weight => weight.Format).Distinct()];

    private static IEnumerable<string> StoredFormats(string folder)
    {
        using Checkpoint checkpoint = Checkpoint.Open(folder);
        return [.. BitsAndBytesReader.Read(checkpoint).Values.Select(stored => stored.Format).Distinct()];
    }
}

/// <summary>For merging, the weights of a model that is quantised in its folder or in memory: they are expanded,
/// changed in float32 and rounded to a dtype.</summary>
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
        // A quantised folder that was opened in float32 already has expanded weights.
        expanded = network.Parameters.Where(weight => source.Quantized(network.StoredName(weight.Key)) is not null)
            .ToDictionary(weight => network.StoredName(weight.Key), weight => weight.Value);
        isTransposed = network.LinearLayers.ToDictionary(
            layer => network.StoredName(layer.Path + ".weight"), layer => layer.StoresTransposed);
        type = dtype ?? source.Names.Where(
            name => source.Quantized(name) is null && checkpoint.Entries[name].DataType is "F32" or "BF16" or "F16")
            .Select(name => checkpoint.Entries[name].Type).FirstOrDefault(ScalarType.Float32);
        string? format = packed.Values.Select(weight => weight.Format)
            .Concat(source.QuantizedWeights.Values.Select(weight => weight.Format)).FirstOrDefault();
        Report = new MergeReport(format, Text, new MergeRounding(), new MergeRounding());
    }

    /// <summary>The names of the weights in the folder.</summary>
    public IReadOnlyCollection<string> Names => source.Names;

    public MergeReport Report { get; }

    private string Text =>
        type switch { ScalarType.BFloat16 => "bfloat16", ScalarType.Float16 => "float16", _ => "float32" };

    public bool Has(string name) => packed.ContainsKey(name) || expanded.ContainsKey(name);

    /// <summary>A weight with all changes, as in the model's own file.</summary>
    public Tensor Merge(string name, MergedChanges changes)
    {
        using var scope = NewDisposeScope();
        Tensor wide = expanded.TryGetValue(name, out Tensor? known) ? known.cpu() : packed[name].Expand().cpu();
        if (known is null && isTransposed.GetValueOrDefault(name)) wide = wide.t().contiguous();
        if (source.Quantized(name) is null) Report.Quantization.Add(checkpoint.Map(name), wide);
        Tensor merged = changes.Apply(name, wide), written = merged.to(type);
        if (!FiniteOutput.Holds(written))
            throw new NonFiniteException(
                $"{name}: the merged weight is not finite in {Text}. Write it in float32 or bfloat16.");
        Report.Rounding.Add(merged, written);
        return written.MoveToOuterDisposeScope();
    }

    /// <summary>Records in a config.json what was written.</summary>
    public void Describe(JsonObject config)
    {
        if (Report.Format is null) return;
        config.Remove(QuantizationConfig.Key);
        config[config.ContainsKey("torch_dtype") ? "torch_dtype" : "dtype"] = Text;
    }
}

/// <summary>A base weight that PEFT saves next to the pair of an embedding or head (<c>base_layer.weight</c>): equal to
/// the model's own, never trained, and saved with the adapter.</summary>
/// <param name="key">Its key in the file.</param>
/// <param name="name">The parameter's name in the model.</param>
/// <param name="weight">The model's weight; not owned.</param>
/// <param name="isTable">Whether it is a whole table without a pair, which may differ from the model's.</param>
internal sealed class BaseCopy(string key, string name, Tensor weight, bool isTable) : IFrozenPart
{
    /// <summary>The parameter's name in the model.</summary>
    public string Name => name;

    /// <summary>Whether it is a whole table without a pair, which may differ from the model's.</summary>
    public bool IsTable => isTable;

    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights => [KeyValuePair.Create(key, weight)];

    /// <summary>Whether a file's copy equals the model's weight.</summary>
    public bool IsEqual(Tensor copy)
    {
        using var scope = NewDisposeScope();
        return weight.detach().cpu().eq(copy.to(ScalarType.Float32)).all().item<bool>();
    }

    /// <summary>Copies the rows that the base's own files lack: those of tokens added before the adapter was
    /// trained.</summary>
    public void TakeAddedRows(Tensor copy, int stored)
    {
        if (weight.dim() != 2 || weight.shape[0] <= stored) return;
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        weight.narrow(0, stored, weight.shape[0] - stored).copy_(copy.narrow(0, stored, weight.shape[0] - stored));
    }

    public void Attach()
    {
        // The model already has the weight.
    }

    public void Detach()
    {
        // As Attach.
    }

    public void Dispose()
    {
        // The model owns the weight.
    }
}
