using System.Text.Json.Nodes;
using LowRank.IO;
using LowRank.IO.Onnx;
using LowRank.Models;
using LowRank.Models.Gguf;
using LowRank.Models.Onnx;
using LowRank.Models.Sentences;
using LowRank.Quantization;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>Writes a model with adapters merged into it, as a Hugging Face folder.</summary>
public static class AdapterMerge
{
    /// <summary>Writes a model with one adapter merged into it.</summary>
    /// <inheritdoc cref="Write(PretrainedModel, IReadOnlyList{ValueTuple{Adapter, double}}, string, ScalarType?)"/>
    public static MergeReport Write(PretrainedModel model, Adapter adapter, string target) =>
        Write(model, [(adapter, 1)], target);

    /// <summary>Merges each adapter's changes into the adapted weights in turn, computed in float32 and stored in each
    /// weight's own dtype; everything else is copied unchanged. A weight is computed when it is written, so that of a
    /// base opened by <see cref="PretrainedModel.OpenForMerging"/> one is in memory at a time.</summary>
    /// <remarks>If an adapter changes only one of an embedding and an output head that share their weight, each gets
    /// its own weight and the config is adjusted. Quantised weights of the base are expanded, changed and written in
    /// full: the merged model is not quantised.</remarks>
    /// <param name="model">The base, opened from a folder.</param>
    /// <param name="adapters">The adapters with the factors of their changes (1: as trained), attached or not; none may
    /// be merged in memory.</param>
    /// <param name="target">The folder to create; it appears complete or not at all.</param>
    /// <param name="dtype">The dtype for weights that the base stores quantised; null uses the dtype of the folder's
    /// other weights.</param>
    /// <returns>The errors from quantisation and rounding.</returns>
    /// <exception cref="NonFiniteException">A weight of the base or of the result is not finite.</exception>
    /// <exception cref="InputException">A weight cannot represent a change, two adapters replace the same weight, or
    /// the target is the model's own folder.</exception>
    public static MergeReport Write(
        PretrainedModel model, IReadOnlyList<(Adapter Adapter, double Weight)> adapters, string target,
        ScalarType? dtype = null)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        using Checkpoint checkpoint = Checkpoint.Open(model.Folder);
        var merged = new MergedWeights(model, adapters, checkpoint, dtype);
        ModelFolder.Write(model.Folder, target, merged.Describe, folder =>
        {
            SaveBeside(folder, adapters);
            CheckpointWriter.WriteOneByOne(folder, merged.All);
        });
        return merged.Report;
    }

    /// <summary>Writes a model with adapters merged into it as a GGUF file, for llama.cpp, Ollama and LM Studio, a
    /// weight at a time, as <see cref="Write(PretrainedModel, IReadOnlyList{ValueTuple{Adapter, double}}, string,
    /// ScalarType?)"/> does.</summary>
    /// <param name="model">The base, opened from a folder.</param>
    /// <param name="adapters">The adapters with the factors of their changes, as in
    /// <see cref="Write(PretrainedModel, IReadOnlyList{ValueTuple{Adapter, double}}, string, ScalarType?)"/>.</param>
    /// <param name="target">The file to write.</param>
    /// <param name="type">One of <see cref="GgufModel.Types"/>.</param>
    /// <returns>The errors from a quantised base, and what the user should know, one sentence each.</returns>
    /// <exception cref="NonFiniteException">A weight of the base or of the result is not finite.</exception>
    /// <exception cref="InputException">llama.cpp does not know the model or its tokenizer, or a weight cannot
    /// represent a change.</exception>
    public static (MergeReport Report, IReadOnlyList<string> Notes) WriteGguf(
        PretrainedModel model, IReadOnlyList<(Adapter Adapter, double Weight)> adapters, string target, string type)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        using Checkpoint checkpoint = Checkpoint.Open(model.Folder);
        var merged = new MergedWeights(model, adapters, checkpoint, dtype: null);
        var json = (JsonObject)model.Config.Root.DeepClone();
        merged.Describe(json);
        ConfigReader config = ConfigReader.Parse(json.ToJsonString(), Path.Combine(model.Folder, "config.json"));
        string beside = Directory.CreateTempSubdirectory("lowrank-gguf-").FullName;
        try
        {
            ModelFolder.CopyCompanions(model.Folder, beside);
            SaveBeside(beside, adapters);
            GgufArchitecture architecture = GgufArchitecture.From(config);
            return (merged.Report, GgufModel.Write(
                new GgufFolder(beside, model.Folder) { Sentence = Sentence(model, adapters) }, target, type, config,
                architecture, GgufModel.Named(merged.All, architecture)));
        }
        catch (InputException e) when (e.Message.Contains(beside, StringComparison.Ordinal))
        {
            // The copy of the tokenizer that is asked is nobody's but ours.
            throw new InputException(e.Message.Replace(beside, model.Folder, StringComparison.Ordinal), e);
        }
        finally
        {
            Directory.Delete(beside, recursive: true);
        }
    }

    /// <summary>Writes an encoder with adapters merged into it as a folder with an ONNX model, its config and its
    /// tokenizer, for ONNX Runtime and ML.NET. The weights are float32; one at a time is in memory besides the opened
    /// model.</summary>
    /// <remarks>Inputs: <c>input_ids</c>, <c>attention_mask</c> and, where the family has them,
    /// <c>token_type_ids</c>, each [batch, sequence] of int64. Outputs: <c>logits</c>, [batch, labels] or [batch,
    /// sequence, labels]; <c>start_logits</c> and <c>end_logits</c>, [batch, sequence]; without a head
    /// <c>last_hidden_state</c>, [batch, sequence, hidden], and for embedders <c>sentence_embedding</c>, [batch,
    /// width].</remarks>
    /// <param name="model">The base, opened from a folder with the adapters' head.</param>
    /// <param name="adapters">The adapters with the factors of their changes, as in
    /// <see cref="Write(PretrainedModel, IReadOnlyList{ValueTuple{Adapter, double}}, string, ScalarType?)"/>.</param>
    /// <param name="target">The folder to create; it appears complete or not at all.</param>
    /// <returns>The errors from a quantised base.</returns>
    /// <exception cref="NonFiniteException">A weight of the base or of the result is not finite.</exception>
    /// <exception cref="InputException">The model is no encoder that can be written, or a weight cannot represent a
    /// change.</exception>
    public static MergeReport WriteOnnx(
        PretrainedModel model, IReadOnlyList<(Adapter Adapter, double Weight)> adapters, string target)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        using Checkpoint checkpoint = Checkpoint.Open(model.Folder);
        OnnxEncoder.Require(model);
        var merged = new MergedWeights(model, adapters, checkpoint, ScalarType.Float32, allInDtype: true);
        SentencePipeline? sentence = Sentence(model, adapters);
        OnnxGraph graph = OnnxEncoder.Build(model, new Dictionary<string, LazyWeight>(merged.All), sentence);
        ModelFolder.Write(model.Folder, target, merged.Describe, folder =>
        {
            SaveBeside(folder, adapters);
            if (sentence is not null) SentenceFolder.Save(sentence, folder);
            OnnxFile.Write(folder, graph);
        });
        return merged.Report;
    }

    // How an embedder's states become vectors: as the adapter learned it, or as the base's own files say.
    private static SentencePipeline? Sentence(
        PretrainedModel model, IReadOnlyList<(Adapter Adapter, double Weight)> adapters)
    {
        if (model.Network.HeadKind != HeadKind.None) return null;
        AdapterTask? task = adapters.Select(given => given.Adapter.Task)
            .FirstOrDefault(given => given?.Sentence is not null || given?.Pooling is not null);
        return task?.Sentence ?? SentenceFolder.Read(model.Folder) ?? (task?.Pooling is { } pooling
            ? SentencePipeline.Plain((int)model.Network.TokenEmbedding.Weight.shape[1], SentenceFolder.Mode(pooling))
            : null);
    }

    // What belongs to the merged model beside its weights: the task, the tokenizer, the chat template.
    private static void SaveBeside(string folder, IReadOnlyList<(Adapter Adapter, double Weight)> adapters)
    {
        adapters.Select(given => given.Adapter.Task).FirstOrDefault(given => given is not null)?.Save(folder);
        AdapterData.Common(adapters.Select(given => given.Adapter.Data))?.Save(folder);
        AdapterVocabulary.Common(adapters.Select(given => given.Adapter.Vocabulary))?.Save(folder);
        AdapterChatTemplates.Common(adapters.Select(given => given.Adapter.ChatTemplates))?.Save(folder);
    }
}

/// <summary>The errors of merging into a quantised base.</summary>
/// <param name="Format">The format of the base's linear layers, such as nf4; null if they are not quantised.</param>
/// <param name="WrittenAs">The dtype in which they were written, in torch's spelling.</param>
/// <param name="Rounding">The difference between the float32 sum and the written weights.</param>
/// <param name="Quantization">The difference between the quantised weights that the adapter was added to and those in
/// the base's folder; empty if the folder contains only quantised ones.</param>
public sealed record MergeReport(string? Format, string WrittenAs, MergeRounding Rounding, MergeRounding Quantization);

/// <summary>Differences between weights: the largest and the root mean square over all compared values.</summary>
public sealed class MergeRounding
{
    private double squares;

    /// <summary>The largest difference.</summary>
    public double Largest { get; private set; }

    /// <summary>The root mean square difference; 0 if nothing was compared.</summary>
    public double RootMeanSquare => Count == 0 ? 0 : Math.Sqrt(squares / Count);

    /// <summary>Number of values compared.</summary>
    public long Count { get; private set; }

    /// <summary>Compares two tensors of the same shape.</summary>
    public void Add(Tensor exact, Tensor stored)
    {
        using var scope = NewDisposeScope();
        Tensor difference = stored.to(ScalarType.Float32) - exact.to(ScalarType.Float32);
        Largest = Math.Max(Largest, difference.abs().max().item<float>());
        squares += difference.pow(Number(2)).sum(ScalarType.Float64).item<double>();
        Count += difference.numel();
    }
}

/// <summary>The combined effect of several adapters on each weight of a checkpoint.</summary>
internal sealed class MergedChanges
{
    private readonly INetwork network;
    private readonly IReadOnlyList<(Adapter Adapter, double Weight)> adapters;
    private readonly ILookup<string, (AdaptedLayer Module, double Weight, bool IsBias)> byName;

    public MergedChanges(INetwork network, IReadOnlyList<(Adapter Adapter, double Weight)> adapters)
    {
        (this.network, this.adapters) = (network, adapters);
        foreach ((Adapter Adapter, double Weight) given in adapters) RequireWeights(given.Adapter);
        List<(AdaptedLayer Module, double Weight)> modules =
            [.. adapters.SelectMany(given => given.Adapter.Parts.OfType<AdaptedLayer>()
            .Where(module => !module.Layer.Follows).Select(module => (module, given.Weight)))];
        RequireWholeOnce(modules);
        if (network.TiesHead && modules.Any(given => MergedLayers.IsHalfOfTie(given.Module))) Untie();
        byName = modules.SelectMany(Names)
            .ToLookup(named => named.Name, named => (named.Module, named.Weight, named.IsBias));
    }

    /// <summary>The name of the head's own weight if the model ties it and an adapter changes only one of the two;
    /// otherwise null.</summary>
    public string? UntiedHead { get; private set; }

    /// <summary>The stored name of the weight that the embedding and the head share, if <see cref="UntiedHead"/>
    /// separates them.</summary>
    public string? TiedName { get; private set; }

    /// <summary>The name of the embedding's weight in that case.</summary>
    public string? TableName { get; private set; }

    /// <summary>Weights that adapters replace whole, by stored name.</summary>
    public Dictionary<string, Tensor> Replaced()
    {
        var replaced = new Dictionary<string, Tensor>();
        foreach ((Adapter Adapter, double Weight) given in adapters)
        {
            foreach (TrainedParameter weight in given.Adapter.Replaced.DistinctBy(weight => weight.Name))
            {
                if (given.Weight != 1)
                    throw new InputException(
                        $"{weight.Name}: the adapter replaces it whole, which cannot be weighted; merge with weight " +
                        $"1, found {given.Weight}.");
                if (!replaced.TryAdd(network.StoredName(weight.Name), given.Adapter.IsAttached ? weight.Parameter
                    : weight.Value))
                    throw new InputException(
                        $"{weight.Name}: two of the adapters replace it whole; only one can. Merge them one at a " +
                        "time, or train one without it.");
            }
        }
        return replaced;
    }

    /// <summary>A stored weight with all changes, in its own dtype.</summary>
    public Tensor Apply(string name, Tensor stored)
    {
        if (!byName.Contains(name)) return stored;
        using var scope = NewDisposeScope();
        Tensor wide = stored.to(ScalarType.Float32).to(network.Device);
        foreach ((AdaptedLayer module, double weight, bool isBias) in byName[name])
        {
            double before = module.Layer.Weight;
            module.Layer.Weight = before * weight;
            wide = isBias ? module.Layer.Merged(module.Base.Matrix, wide).Bias!
                : module.Base.StoresTransposed ? module.Layer.Merged(wide.t(), Zeros(module)).Weight.t()
                : module.Layer.Merged(wide, Zeros(module)).Weight;
            module.Layer.Weight = before;
        }
        Tensor merged = wide.cpu().to(stored.dtype);
        if (!FiniteOutput.Holds(merged))
            throw new NonFiniteException(
                $"{name}: the merged weight is not finite in {stored.dtype}: {Cause(name, stored, wide)}.");
        return merged.MoveToOuterDisposeScope();
    }

    private Words Cause(string name, Tensor stored, Tensor wide)
    {
        if (!FiniteOutput.Holds(stored))
            return Words.Plain("the base's own weight is not. Fetch or convert the base again");
        string? tensor = byName[name].SelectMany(change => change.Module.Weights)
            .FirstOrDefault(weight => !FiniteOutput.Holds(weight.Value)).Key;
        if (tensor is not null)
            return Words.Of($"the adapter's tensor {tensor} is not. Use an earlier checkpoint of the adapter");
        return FiniteOutput.Holds(wide)
            ? Words.Of(
                $"{stored.dtype} holds no number so large. Convert the base to float32 or bfloat16 before merging")
            : Words.Of(
                $"weight and change together leave float32. Check the adapter's alpha and norms" +
                $"{KnownSettings.Inspect.Aside}");
    }

    private static Tensor? Zeros(AdaptedLayer module) => module.Base.Bias is { } bias
        ? zeros(module.Base.OutputSize, device: bias.device) : null;

    private IEnumerable<(string Name, AdaptedLayer Module, double Weight, bool IsBias)> Names(
        (AdaptedLayer Module, double Weight) given)
    {
        AdaptableLayer layer = given.Module.Base;
        string stored = network.StoredName(layer.Parameter);
        string name = UntiedHead is null || stored != TiedName ? stored : layer.IsTiedHead ? UntiedHead : TableName!;
        yield return (name, given.Module, given.Weight, false);
        if (UntiedHead is { } untied && given.Module.Layer.CoversTie && name != untied)
            yield return (untied, given.Module, given.Weight, false);
        if (given.Module.Layer.ChangesBias && layer.BiasParameter is { } bias)
            yield return (network.StoredName(bias), given.Module, given.Weight, true);
    }

    private void Untie()
    {
        string table = network.TokenEmbedding.Path + ".weight";
        UntiedHead = network.OutputHead!.Path + ".weight";
        TiedName = network.StoredName(table);
        TableName = TiedName == UntiedHead ? table : TiedName;
    }

    // Only one adapter can replace a weight.
    private static void RequireWholeOnce(List<(AdaptedLayer Module, double Weight)> modules)
    {
        foreach (IGrouping<string, double> whole in modules.Where(given => given.Module.Layer is WholeWeight)
            .GroupBy(given => ((WholeWeight)given.Module.Layer).Name, given => given.Weight))
        {
            if (whole.Count() > 1)
                throw new InputException(
                    $"{whole.Key}: two of the adapters replace it whole; only one can. Merge them one at a time, " +
                    "or train one without it.");
            if (whole.Single() is not 1)
                throw new InputException(
                    $"{whole.Key}: the adapter replaces it whole, which cannot be weighted; merge with weight 1, " +
                    $"found {whole.Single()}.");
        }
    }

    private static void RequireWeights(Adapter adapter)
    {
        if (adapter.Parts.Any(part => part is not (AdaptedLayer or TrainedParameter or IFrozenPart)))
            throw new InputException(
                "The adapter puts a prompt before the text, which no weight can hold: it cannot be merged. Use it " +
                "unmerged.");
    }
}

/// <summary>For merging, the weights of a model that is quantised in its folder or in memory: they are expanded,
/// changed in float32 and rounded to a dtype.</summary>
internal sealed class QuantizedBase
{
    private readonly PretrainedModel model;
    private readonly INetwork network;
    private readonly Checkpoint checkpoint;
    private readonly CheckpointWeights source;
    private readonly Dictionary<string, PackedWeight> packed;
    private readonly Dictionary<string, Tensor> expanded;
    private readonly Dictionary<string, bool> isTransposed;
    private readonly ScalarType type;

    public QuantizedBase(PretrainedModel model, Checkpoint checkpoint, ScalarType? dtype)
    {
        (this.model, network, this.checkpoint) = (model, model.Network, checkpoint);
        source = new CheckpointWeights(checkpoint, model.Folder);
        packed = network.QuantizedWeights.ToDictionary(
            weight => network.StoredName(weight.Key), weight => weight.Value);
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

    /// <summary>The dtype in which its weights are written.</summary>
    public ScalarType Type => type;

    /// <summary>The shape of a weight in the model's own file.</summary>
    public long[] Shape(string name)
    {
        if (expanded.TryGetValue(name, out Tensor? known)) return known.shape;
        PackedWeight weight = packed[name];
        return isTransposed.GetValueOrDefault(name) ? [weight.Columns, weight.Rows] : [weight.Rows, weight.Columns];
    }

    /// <summary>Releases the pages of a weight in the files.</summary>
    public void Release(string name)
    {
        checkpoint.Release(name);
        model.Release(source.Quantized(name)?.Names ?? [name]);
    }

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
