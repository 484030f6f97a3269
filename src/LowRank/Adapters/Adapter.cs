using LowRank.Adapters.Files;
using LowRank.IO;
using LowRank.Models;
using LowRank.Quantization;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>An adapter of any type on a model: its changes to the model's layers, and modules trained whole beside them
/// (a task head, biases, single tokens).</summary>
/// <remarks>Attaching, detaching and saving do not change the base. Belongs to one model and its thread.</remarks>
public sealed class Adapter : IDisposable
{
    /// <summary>The name of the tensor file.</summary>
    public const string FileName = "adapter_model.safetensors";

    private readonly PretrainedModel model;
    private readonly IAdapterType kind;
    private readonly List<IAdapterPart> parts;
    private readonly Dictionary<string, IAdapterLayer> layers;
    private readonly MergedLayers merged;
    private readonly WeightChange replacement;
    private readonly WeightChange merge;

    private Adapter(PretrainedModel model, TargetMatch match, AdapterBuild build, IEnumerable<AdapterTensor> replaced)
    {
        this.model = model;
        kind = match.Resolved.Type;
        Warnings = [.. match.Warnings];
        parts = [.. kind.Build(build)];
        Config = build.Config;
        layers = parts.OfType<AdaptedLayer>()
            .Where(module => match.Targets.Any(target => target.Path == module.Base.Path)
            && module.Layer.Weights.Count > 0)
            .DistinctBy(module => module.Base.Path).ToDictionary(module => module.Base.Path, module => module.Layer);
        merged = new MergedLayers(model.Network, parts);
        (replacement, merge) = (new WeightChange(this, merges: false), new WeightChange(this, merges: true));
        try
        {
            foreach (AdapterTensor tensor in replaced)
                parts.AddRange(Replace(tensor, build.Config.TiesWeights));
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>What the adapter was trained for, beyond PEFT's config; null for a language model.</summary>
    public AdapterTask? Task { get; set; }

    /// <summary>How the training rows were read; null if everything is at its default.</summary>
    public AdapterData? Data { get; set; }

    /// <summary>The model that the adapter belongs to.</summary>
    internal PretrainedModel Model => model;

    /// <summary>The base that it was trained on, as recorded in its folder; null if not recorded, and for a new adapter
    /// that fits any base with these weights.</summary>
    public AdapterBase? Base { get; private set; }

    /// <summary>Its own tokenizer, which may have more tokens than the base's; null if it has none.</summary>
    public AdapterVocabulary? Vocabulary { get; set; }

    /// <summary>The chat templates that it was trained with; null if its folder has none and the base's
    /// apply.</summary>
    public AdapterChatTemplates? ChatTemplates { get; set; }

    /// <summary>The config to save.</summary>
    public AdapterConfig Config { get; private set; }

    /// <summary>Notes for the user, such as config keys without effect.</summary>
    public IReadOnlyList<string> Warnings { get; private set; }

    /// <summary>The changes to its target modules, by path, in model order.</summary>
    public IReadOnlyDictionary<string, IAdapterLayer> Layers => layers;

    /// <summary>All its parts.</summary>
    public IReadOnlyList<IAdapterPart> Parts => parts;

    /// <summary>Whether the adapter takes part in the model's computation.</summary>
    public bool IsAttached { get; private set; }

    /// <summary>Whether the model computes the same without it, to the last bit: all it has is pairs whose B is zero,
    /// as at the start of training.</summary>
    internal bool ChangesNothing
    {
        get
        {
            using var scope = NewDisposeScope();
            return parts.All(part =>
                part is AdaptedLayer { Layer: LoraLayer { InitialPair: null, OutputBias: null } layer }
                && layer.B.detach().count_nonzero().item<long>() == 0);
        }
    }

    /// <summary>Whether its changes are merged into the base's weights.</summary>
    public bool IsMerged { get; private set; }

    /// <summary>The number of trained weights.</summary>
    public long ParameterCount => TrainedWeights.Sum(weight => weight.Value.numel());

    /// <summary>The tensors by their names in PEFT's file.</summary>
    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights => [.. parts.SelectMany(part => part.Weights)];

    /// <summary>The trained tensors of <see cref="Weights"/>; excludes tensors that a type keeps frozen, such as VeRA's
    /// random pair.</summary>
    public IReadOnlyList<KeyValuePair<string, Tensor>> TrainedWeights =>
        [.. parts.Where(part => part is not IFrozenPart and not TrainedParameter { IsFrozen: true })
        .SelectMany(part => part.Weights)];

    internal IEnumerable<TrainedParameter> Replaced => parts.OfType<TrainedParameter>();

    private IEnumerable<WholeWeight> Whole =>
        parts.OfType<AdaptedLayer>().Select(module => module.Layer).OfType<WholeWeight>();

    private IEnumerable<string> ReplacedNames =>
        Replaced.Select(weight => weight.Name).Concat(Whole.Select(weight => weight.Name)).Distinct();

    /// <summary>Creates a new adapter, not attached.</summary>
    /// <param name="model">The base.</param>
    /// <param name="config">Its type, rank, alpha, targets and other settings.</param>
    /// <param name="seed">Seed for the initial values.</param>
    /// <exception cref="InputException">The config selects nothing, names missing modules, asks for something
    /// unsupported, or for an initialisation that needs data (EVA, CorDA, LoRA-GA), which training gives; the message
    /// lists all problems and the modules that can be adapted.</exception>
    public static Adapter Create(PretrainedModel model, AdapterConfig config, long seed) =>
        Create(model, config, seed, calibration: null);

    /// <summary>Creates a new adapter, with data for initialisations that need it.</summary>
    internal static Adapter Create(
        PretrainedModel model, AdapterConfig config, long seed, ICalibration? calibration)
    {
        config = TaskTypes.Fill(config with { BaseModel = config.BaseModel ?? model.Folder }, model.Network);
        config = config with { ModulesToSave = SavedModules.ForNew(config, model.Network) };
        config = config.Type.Fill(config, model);
        TargetMatch match =
            TargetMatcher.Match(config, ModuleInfo.From(model.Network), model.Config.ModelType, AdapterUse.Create);
        using var random = new Generator().manual_seed(seed);
        using var scope = NewDisposeScope();
        using var build = new AdapterBuild(match.Resolved, match.Targets, model.Network, read: null, has: _ => false,
            random) { ModelFolder = model.Folder, Calibration = calibration };
        Adapter adapter =
            model.WeightChanges.OnBase(() => new Adapter(model, match, build, Replacements(model, match, file: null)));
        build.Keep();
        adapter.Base = AdapterBase.From(model.Network, config);
        return adapter;
    }

    /// <summary>Reads a PEFT folder; the adapter is not attached.</summary>
    /// <exception cref="InputException">The config cannot be used, tensors fit no module, are missing or have the wrong
    /// shape (the message lists all problems), or the adapter needs a base in another format
    /// (<see cref="AdapterBase"/>).</exception>
    public static Adapter Load(string folder, PretrainedModel model)
    {
        AdapterConfig config = TaskTypes.WithHead(AdapterConfig.Load(folder));
        config = config.Type.Complete(config, model.Config.ModelType);
        if (TaskTypes.Head(config.TaskType) is { } head && head != model.Network.HeadKind)
            throw new InputException(
                $"{folder} was trained for {config.TaskType}, but {model.Folder} was opened with the head " +
                $"{model.Network.HeadKind}. " +
                $"Use it for its own task, or open the base with the head {head}.");
        AdapterBase? needed = AdapterBase.Load(folder);
        needed?.Require(folder, model);
        TargetMatch match =
            TargetMatcher.Match(config, ModuleInfo.From(model.Network), model.Config.ModelType, AdapterUse.Load);
        using var scope = NewDisposeScope();
        using SafeTensorsFile file = AdapterTensorFile.Load(folder);
        if (AdapterVocabulary.RowsOf(config, file) is var rows && rows > model.Network.VocabularySize)
            throw new InputException(
                $"{folder} was trained with {rows} tokens in the vocabulary, and {model.Folder} has " +
                $"{model.Network.VocabularySize}. Open the base with as many " +
                "(PretrainedModel.Open with vocabulary: AdapterVocabulary.RowsFor(folder)). Or is this another base?");
        IReadOnlyList<string> problems = Layout(model, match.Resolved, match.Targets)
            .Problems(file.Entries.Select(entry => KeyValuePair.Create(entry.Key, entry.Value.Shape)));
        if (problems.Count > 0)
            throw new InputException(
                $"{file.Path} does not fit the model {model.Folder} and {AdapterConfig.FileName}:", problems);
        RefuseDrawnWeights(folder, match.Resolved, model.Network);
        AdapterTask? task = AdapterTask.Load(folder);
        AdapterData? data = AdapterData.Load(folder);
        AdapterVocabulary? vocabulary = AdapterVocabulary.Load(folder);
        AdapterChatTemplates? templates = AdapterChatTemplates.Load(folder);
        Adapter adapter = model.WeightChanges.OnBase(() => Build(model, match, file));
        (adapter.Task, adapter.Data, adapter.Vocabulary, adapter.ChatTemplates) = (task, data, vocabulary, templates);
        adapter.Base = needed;
        adapter.Warnings = [.. config.Warnings, .. adapter.Warnings];
        if (needed?.Mismatch(folder, model, config.BaseModel) is { } mismatch)
            adapter.Warnings = [.. adapter.Warnings, mismatch];
        return adapter;
    }

    // Called while the weights are the base's own, which the file's copies are compared with.
    private static Adapter Build(PretrainedModel model, TargetMatch match, SafeTensorsFile file)
    {
        using var random = new Generator().manual_seed(0);
        using var build = new AdapterBuild(match.Resolved, match.Targets, model.Network, file.Map,
            file.Entries.ContainsKey, random) { ModelFolder = model.Folder };
        var adapter = new Adapter(model, match, build, Replacements(model, match, file));
        build.Keep();
        try
        {
            adapter.ReadWholeWeights(file);
        }
        catch
        {
            adapter.Dispose();
            throw;
        }
        return adapter;
    }

    private void ReadWholeWeights(SafeTensorsFile file)
    {
        foreach (TrainedParameter weight in Replaced) weight.Value.copy_(file.Map(weight.Key));
        foreach (AdaptedLayer module in parts.OfType<AdaptedLayer>())
            if (module.Layer is WholeWeight { Follows: false } whole)
                whole.Value.copy_(file.Map(module.Weights[0].Key));
        foreach (BaseCopy copy in parts.OfType<BaseCopy>())
            copy.LoadAddedRows(file.Map(copy.Weights[0].Key), model.StoredVocabulary);
        if (model.Network.VocabularySize > model.StoredVocabulary) model.Network.OutputHead?.Packed?.Refresh();
        ReplaceTables(file);
        string[] foreign =
            [.. parts.OfType<BaseCopy>().Where(copy => !copy.IsEqual(file.Map(copy.Weights[0].Key)))
            .Select(copy => copy.Weights[0].Key)];
        if (foreign.Length > 0)
            throw new InputException(
                $"{file.Path} holds copies of the base's weights that differ from those of {model.Folder}: the " +
                "adapter was trained " +
                "on another base, or on one whose vocabulary was changed. Use that base:", foreign);
    }

    /// <summary>Attaches the adapter to the model.</summary>
    /// <exception cref="InvalidOperationException">The adapter is merged.</exception>
    /// <exception cref="InputException">Another attached adapter replaces the same weights.</exception>
    public void Attach()
    {
        if (IsAttached) return;
        if (IsMerged)
            throw new InvalidOperationException("The adapter is merged into the base; unmerge it before attaching it.");
        Claim(replacement);
        try
        {
            foreach (IAdapterPart part in parts) part.Attach();
        }
        catch
        {
            Release(replacement);
            throw;
        }
        IsAttached = true;
    }

    /// <summary>Detaches the adapter; the model computes as before.</summary>
    public void Detach()
    {
        if (!IsAttached) return;
        Release(replacement);
        IsAttached = false;
    }

    /// <summary>Merges the changes into the base's weights in memory: the model computes the adapted result at the
    /// base's cost.</summary>
    /// <exception cref="InputException">The adapter changes only one of an embedding and a head that share their
    /// weight, has a part that no weight can represent, or changes a weight that another adapter replaces.</exception>
    public void Merge()
    {
        if (IsMerged) return;
        merged.Require();
        Detach();
        Claim(merge);
        IsMerged = true;
    }

    /// <summary>Removes the merged changes from the base's weights: exactly, or to within rounding if the change was a
    /// sum. Adapters may be unmerged in any order.</summary>
    public void Unmerge()
    {
        if (!IsMerged) return;
        Release(merge);
        IsMerged = false;
    }

    /// <summary>The factor of its changes: 1 unless adapters are weighted.</summary>
    /// <exception cref="InputException">The factor is not 1 and the adapter replaces whole weights, which cannot be
    /// scaled.</exception>
    public double Weight
    {
        get;
        set
        {
            if (value != 1 && ReplacedNames.FirstOrDefault() is { } weight)
                throw new InputException(
                    $"The adapter replaces {weight} whole, which cannot be weighted; it can be used with weight 1 " +
                    $"only, found {value}.");
            if (value != 1 && parts.FirstOrDefault(part => part is not (AdaptedLayer or IFrozenPart)) is not null)
                throw new InputException(
                    $"A {kind.Label} adapter cannot be weighted; it can be used with weight 1 only, found {value}.");
            field = value;
            foreach (AdaptedLayer module in parts.OfType<AdaptedLayer>()) module.Layer.Weight = value;
        }
    } = 1;

    /// <summary>Sets whether the adapter's trained weights require gradients.</summary>
    /// <exception cref="InvalidOperationException">The adapter is not attached.</exception>
    public void SetTrainable(bool trainable)
    {
        if (!IsAttached) throw new InvalidOperationException("Attach the adapter before training it.");
        foreach ((string _, Tensor weight) in TrainedWeights) weight.requires_grad = trainable;
    }

    /// <summary>Writes a PEFT folder, <c>adapter_config.json</c> and <c>adapter_model.safetensors</c>,
    /// atomically.</summary>
    /// <remarks>If the pairs started as a part of the base (PiSSA, OLoRA), pairs with twice the rank are written, which
    /// fit the unchanged base.</remarks>
    public void Save(string folder) => AtomicFolder.Write(folder, into =>
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        AdapterExport export = kind.Export(Config, parts);
        SafeTensorsWriter.Write(Path.Combine(into, FileName),
            [.. export.Weights.Concat(parts.SelectMany(part => part.Copies))
                .Select(weight => KeyValuePair.Create(weight.Key, weight.Value.detach().cpu().contiguous()))]);
        export.Config.Save(into);
        Task?.Save(into);
        Data?.Save(into);
        if (Base?.BaseDtype is not null || model.Fingerprint is not null)
            new AdapterBase(Base?.BaseDtype, model.Fingerprint).Save(into);
        Vocabulary?.Save(into);
        ChatTemplates?.Save(into);
    });

    /// <summary>Changes the config to save, for methods that learn part of it.</summary>
    internal void Revise(AdapterConfig config) => Config = config;

    /// <inheritdoc/>
    public void Dispose()
    {
        Unmerge();
        Detach();
        foreach (IAdapterPart part in parts) part.Dispose();
        merged.Dispose();
    }

    // As in PEFT: tables saved with an adapter (save_embedding_layers) replace the base's while it is in use.
    private void ReplaceTables(SafeTensorsFile file)
    {
        foreach (BaseCopy copy in parts.OfType<BaseCopy>()
            .Where(copy => copy.IsTable && !copy.IsEqual(file.Map(copy.Weights[0].Key))).ToList())
        {
            string key = copy.Weights[0].Key;
            if (Replaced.FirstOrDefault(weight => weight.Name == copy.Name) is { } shared)
            {
                if (!shared.Value.cpu().eq(file.Map(key).to(ScalarType.Float32)).all().item<bool>())
                    throw new InputException(
                        $"{file.Path}: {shared.Key} and {key} differ, but the model has one weight for both. Save " +
                        "the adapter without one of them.");
                parts.Remove(copy);
                continue;
            }
            var table = new TrainedParameter(key, copy.Name, model.Network.Parameters[copy.Name]) { IsFrozen = true };
            table.Value.copy_(file.Map(key));
            parts[parts.IndexOf(copy)] = table;
            Warnings = [.. Warnings,
                $"{file.Path} holds {copy.Name} whole, other than the base has it: it replaces the base's while " +
                "the adapter is in use"];
        }
    }

    // A weight of the model holds one adapter's values at a time.
    private void Claim(WeightChange change)
    {
        ISet<string> held = model.Network.ReplacedWeights;
        HashSet<string> changed = [.. model.WeightChanges.Names];
        string[] conflicts = [.. ReplacedNames.Where(name => held.Contains(name) || changed.Contains(name))
            .Concat(change.Names.Where(held.Contains)).Distinct()];
        if (conflicts.Length > 0)
            throw new InputException(
                "Another adapter that is in use has changed these weights; where one replaces a weight whole, only " +
                "one can hold it. Detach or unmerge that one first:", conflicts);
        if (change.Names.Any()) model.WeightChanges.Add(change);
        held.UnionWith(ReplacedNames);
    }

    private void Release(WeightChange change)
    {
        foreach (IAdapterPart part in parts.Where(part => part is not TrainedParameter)) part.Detach();
        model.WeightChanges.Remove(change);
        model.Network.ReplacedWeights.ExceptWith(ReplacedNames);
    }

    private static AdapterLayout Layout(
        PretrainedModel model, AdapterConfig config, IReadOnlyList<AdapterTarget> targets) =>
        AdapterLayout.Create(config,
        targets, ModuleInfo.From(model.Network), SavedModules.Tensors(config, model.Network),
        model.Network.VocabularySize > model.StoredVocabulary);

    // The base weights that the adapter replaces. A copy of the embedding next to its pair counts only if the file has
    // one and the model has a separate weight for it.
    private static IEnumerable<AdapterTensor> Replacements(
        PretrainedModel model, TargetMatch match, SafeTensorsFile? file) =>
        Layout(model, match.Resolved, match.Targets).Tensors.Where(tensor => tensor.Part switch
        {
            AdapterTensorPart.AdaptedBias or AdapterTensorPart.Bias or AdapterTensorPart.Weight => tensor.IsRequired,
            AdapterTensorPart.AdaptedWeight or AdapterTensorPart.Table => file?.Entries.ContainsKey(tensor.Key) == true,
            _ => false,
        });

    private IAdapterPart[] Replace(AdapterTensor tensor, bool ensuresTie)
    {
        INetwork network = model.Network;
        if (network.TiesHead && tensor.Part == AdapterTensorPart.Weight)
        {
            IReadOnlyDictionary<string, AdaptableLayer> layers = AdaptableLayer.From(network);
            AdaptableLayer head = layers[network.ModulePath(network.OutputHead!.Path)];
            if (layers.TryGetValue(tensor.Path, out AdaptableLayer? half) && half.Parameter == head.Parameter)
            {
                var copy = new WholeWeight(half, ensuresTie);
                return ensuresTie
                    ? [new AdaptedLayer(half, copy), new AdaptedLayer(head, new WholeWeight(head, copy))]
                    : [new AdaptedLayer(half, copy)];
            }
        }
        return [ReplaceOne(tensor)];
    }

    private IAdapterPart ReplaceOne(AdapterTensor tensor)
    {
        INetwork network = model.Network;
        string ending = tensor.Part is AdapterTensorPart.Weight or AdapterTensorPart.AdaptedWeight
            or AdapterTensorPart.Table ? ".weight" : ".bias";
        string? name = network.Parameters.Keys.FirstOrDefault(
            parameter => network.ModulePath(parameter) == tensor.Path + ending);
        // A tied head uses the embedding's weight for both, and its bias may have another name.
        if (name is null)
        {
            AdaptableLayer layer = AdaptableLayer.From(network)[tensor.Path];
            name = ending == ".bias" ? layer.BiasParameter! : layer.Parameter;
        }
        if (network.PackedWeights.TryGetValue(name, out PackedWeight? packed))
            throw new InputException(
                $"{tensor.Key}: the adapter holds this weight whole, and the base keeps it in {packed.Format}, " +
                "which cannot be replaced. Open the base, and compute, in float32.");
        if (tensor.Part is AdapterTensorPart.AdaptedWeight or AdapterTensorPart.Table)
            return new BaseCopy(
                tensor.Key, name, network.Parameters[name], isTable: tensor.Part == AdapterTensorPart.Table);
        return Replaced.FirstOrDefault(weight => weight.Name == name) is { } first
            ? new TrainedParameter(tensor.Key, first)
            : new TrainedParameter(tensor.Key, name, network.Parameters[name]);
    }

    // A head that is in neither the checkpoint nor the adapter would give random answers.
    private static void RefuseDrawnWeights(string folder, AdapterConfig config, INetwork network)
    {
        string[] drawn = [.. network.CreatedWeights.Select(network.ModulePath)
            .Where(weight => !(config.ModulesToSave ?? []).Any(name => SavedModules.Selects(name, weight)))];
        if (drawn.Length > 0)
            throw new InputException(
                $"The base has no weights for its head {network.HeadKind}, and the adapter {folder} does not bring " +
                "them " +
                "(modules_to_save). Use the base that it was trained on; missing:", drawn);
    }

    /// <summary>The file with an adapter's tensors: safetensors, otherwise the pickle of older PEFT versions, otherwise
    /// the name of the missing file.</summary>
    internal static string TensorsPath(string folder)
    {
        string path = Path.Combine(folder, FileName), pickle = Path.Combine(folder, "adapter_model.bin");
        return !File.Exists(path) && File.Exists(pickle) ? pickle : path;
    }

    private sealed class WeightChange(Adapter adapter, bool merges) : IWeightChange
    {
        public IEnumerable<string> Names => adapter.Replaced.Select(weight => weight.Name)
            .Concat(merges ? adapter.merged.Names : []);

        public void Apply()
        {
            // First, because what a layer adds goes on top.
            foreach (TrainedParameter weight in adapter.Replaced) weight.Attach();
            if (merges) adapter.merged.Apply();
        }

        public void Revert()
        {
            if (merges) adapter.merged.Revert();
            foreach (TrainedParameter weight in adapter.Replaced) weight.Detach();
        }
    }
}
