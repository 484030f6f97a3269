using System.Text.Json.Nodes;
using LowRank.IO;
using LowRank.Kernels;
using LowRank.Models;
using LowRank.Quantization;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>The weights of a model with adapters merged into it, each of which is computed when it is read.</summary>
internal sealed class MergedWeights
{
    private readonly PretrainedModel model;
    private readonly Checkpoint checkpoint;
    private readonly QuantizedBase quantized;
    private readonly MergedChanges changes;
    private readonly AdapterTask? task;
    private readonly ScalarType? all;
    private readonly List<KeyValuePair<string, LazyWeight>> weights = [];

    /// <param name="model">The base, opened from a folder.</param>
    /// <param name="adapters">The adapters with the factors of their changes; none may be merged in memory.</param>
    /// <param name="checkpoint">The weights in the folder; used as long as weights are read.</param>
    /// <param name="dtype">The dtype for weights that the base stores quantised; null for that of the others.</param>
    /// <param name="allInDtype">Whether all other weights are in this dtype too, not in their own.</param>
    public MergedWeights(
        PretrainedModel model, IReadOnlyList<(Adapter Adapter, double Weight)> adapters, Checkpoint checkpoint,
        ScalarType? dtype, bool allInDtype = false)
    {
        all = allInDtype ? dtype : null;
        if (adapters.Any(given => given.Adapter.IsMerged))
            throw new InvalidOperationException("An adapter is merged in memory; unmerge it before writing.");
        (this.model, this.checkpoint) = (model, checkpoint);
        INetwork network = model.Network;
        changes = new MergedChanges(network, adapters);
        task = adapters.Select(given => given.Adapter.Task).FirstOrDefault(given => given is not null);
        Dictionary<string, Tensor> replaced = changes.Replaced();
        // The result also contains a head that the checkpoint lacks.
        foreach (string drawn in network.CreatedWeights)
            replaced.TryAdd(network.StoredName(drawn), network.Parameters[drawn]);
        quantized = new QuantizedBase(model, checkpoint, dtype);
        string[] names = [.. quantized.Names.Where(name => !network.DuplicateWeights.Contains(name))];
        foreach (string name in names)
        {
            if (quantized.Has(name))
                Add(name, quantized.Shape(name), quantized.Type, () => quantized.Merge(name, changes),
                    () => quantized.Release(name));
            else AddStored(name, replaced.Remove(name, out Tensor? whole) ? whole : null);
        }
        ScalarType type =
            all ?? (quantized.Has(names[0]) ? quantized.Type : checkpoint.Entries[names[0]].Type);
        foreach ((string name, Tensor value) in replaced)
            Add(name, value.shape, type, () => changes.Apply(name, value.detach().cpu().to(type)));
        AddHeadBias();
    }

    /// <summary>The weights by checkpoint name, in the order of the file.</summary>
    public IReadOnlyList<KeyValuePair<string, LazyWeight>> All => weights;

    /// <summary>The errors from quantisation and rounding; complete once all weights have been read.</summary>
    public MergeReport Report => quantized.Report;

    /// <summary>Says in a config.json what was merged.</summary>
    public void Describe(JsonObject config)
    {
        TaskConfig.Describe(config, model.Network, task);
        quantized.Describe(config);
        if (model.Network.VocabularySize > model.StoredVocabulary) config["vocab_size"] = model.Network.VocabularySize;
        // T5's tying is determined by its files alone; it reads the key as whether to scale the states below the head.
        if (changes.UntiedHead is not null && model.Network is not EncoderDecoder)
            config["tie_word_embeddings"] = false;
    }

    private void Add(string name, long[] shape, ScalarType type, Func<Tensor> read, Action? release = null) =>
        weights.Add(KeyValuePair.Create(name, new LazyWeight(shape, type, read) { Release = release }));

    private void AddStored(string name, Tensor? whole)
    {
        long[] shape = whole?.shape ?? Shape(name); // a head for other labels has another
        ScalarType kept = checkpoint.Entries[name].Type,
            type = all is { } wanted && IsFloating(kept) ? wanted : kept;
        string written = name == changes.TiedName ? changes.TableName! : name;
        Add(written, shape, type, () =>
        {
            Tensor stored = Stored(name), start = whole?.detach().cpu().to(stored.dtype) ?? stored;
            Tensor applied = changes.Apply(written, start);
            if (applied.is_floating_point() && !FiniteOutput.Holds(applied))
                throw new NonFiniteException(
                    $"{name} is not finite, " +
                    $"{(whole is null ? $"in {model.Folder}. Fetch or convert the model again"
                        : "in the adapter, which holds it whole. Use an earlier checkpoint of the adapter")}.");
            return applied;
        }, () => quantized.Release(name));
        if (changes.UntiedHead is { } head && name == changes.TiedName)
            Add(head, shape, type, () => changes.Apply(head, Stored(name)));
    }

    private Tensor Stored(string name)
    {
        Tensor stored = WithAddedRows(name, checkpoint.Map(name), model.Network);
        return all is { } type && IsFloating(stored.dtype) ? stored.to(type) : stored;
    }

    private static bool IsFloating(ScalarType type) =>
        type is ScalarType.Float32 or ScalarType.BFloat16 or ScalarType.Float16 or ScalarType.Float64;

    private long[] Shape(string name)
    {
        if (model.Network.VocabularySize <= model.StoredVocabulary) return checkpoint.Entries[name].Shape;
        using var scope = NewDisposeScope();
        return Stored(name).shape;
    }

    // Only the model in memory has rows of tokens that an adapter adds.
    private static Tensor WithAddedRows(string name, Tensor stored, INetwork network)
    {
        string? parameter = network.Parameters.Keys.Concat(network.PackedWeights.Keys)
            .FirstOrDefault(parameter => network.StoredName(parameter) == name);
        if (parameter is null || network.CreatedWeights.Contains(parameter)) return stored; // replaced whole
        // Only the tables of the vocabulary have more rows.
        if (network.PackedWeights.TryGetValue(parameter, out PackedWeight? packed)
            && (parameter != network.OutputHead?.Path + ".weight" || packed.Rows == stored.shape[0])) return stored;
        Tensor weight = packed?.Expand() ?? network.Parameters[parameter];
        if (weight.shape[0] == stored.shape[0]) return stored;
        return cat(
            [stored, weight.detach().narrow(0, stored.shape[0], weight.shape[0] - stored.shape[0]).cpu().to(
                stored.dtype)], 0);
    }

    // If the config no longer ties weights, a masked language model's head no longer reads the separate bias.
    private void AddHeadBias()
    {
        INetwork network = model.Network;
        if (changes.UntiedHead is null
            || AdaptableLayer.From(network)[network.ModulePath(network.OutputHead!.Path)].BiasParameter is not { } bias)
            return;
        string stored = network.StoredName(bias), own = network.OutputHead.Path + ".bias";
        if (weights.TrueForAll(weight => weight.Key != own))
            weights.Add(KeyValuePair.Create(own, weights.Find(weight => weight.Key == stored).Value));
    }
}
