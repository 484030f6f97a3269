using LowRank.Adapters.Files;
using LowRank.Models;
using LowRank.Models.Layers;
using LowRank.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>A LoRA adapter on a model (arXiv 2106.09685): a low-rank pair for each target, and modules trained whole beside
/// them: a task's head, biases where asked for.</summary>
/// <remarks>The base is not changed by attaching, detaching or saving. Belongs to one model and its thread.</remarks>
public sealed class LoraAdapter : IDisposable
{
    /// <summary>The name of the file with the tensors.</summary>
    public const string FileName = "adapter_model.safetensors";

    private readonly PretrainedModel model;
    private readonly Dictionary<string, LoraLayer> layers;
    private readonly List<TrainedParameter> replaced;

    private LoraAdapter(PretrainedModel model, TargetMatch match, Func<LoraTarget, Projection, LoraLayer> makeLayer)
    {
        this.model = model;
        Config = match.Resolved;
        Warnings = [.. match.Warnings];
        INetwork network = model.Network;
        Projections = network.Projections.Concat(network.OutputHead is { } head ? [head] : []).ToDictionary(projection => network.ModulePath(projection.Path));
        RefuseEmbeddings(match.Targets);
        layers = match.Targets.ToDictionary(target => target.Path, target => makeLayer(target, Projections[target.Path]));
        replaced = [.. Layout(model, Config, match.Targets).Tensors
            .Where(tensor => tensor.IsRequired && tensor.Part is AdapterTensorPart.AdaptedBias or AdapterTensorPart.Bias or AdapterTensorPart.Weight)
            .Select(tensor => TakeOver(tensor, network))];
    }

    /// <summary>What the adapter was trained for, beyond what PEFT's config says; null for a language model.</summary>
    public AdapterTask? Task { get; set; }

    /// <summary>The config as it is saved.</summary>
    public LoraConfig Config { get; }

    /// <summary>What the user should know, such as config keys without effect.</summary>
    public IReadOnlyList<string> Warnings { get; }

    /// <summary>The pairs by module path, in the order of the model.</summary>
    public IReadOnlyDictionary<string, LoraLayer> Layers => layers;

    /// <summary>Whether the adapter takes part in what the model computes.</summary>
    public bool IsAttached { get; private set; }

    /// <summary>Whether the pairs are added into the base's weights.</summary>
    public bool IsMerged { get; private set; }

    /// <summary>The number of trained weights: rank · (in + out) for each target, and the modules and biases trained whole.</summary>
    public long ParameterCount => Weights.Sum(weight => weight.Value.numel());

    /// <summary>The trained tensors by their names in PEFT's file.</summary>
    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights =>
    [
        .. layers.SelectMany(layer => new[]
        {
            KeyValuePair.Create(PeftTensorKeys.Key(layer.Key, AdapterTensorPart.LinearA), layer.Value.A),
            KeyValuePair.Create(PeftTensorKeys.Key(layer.Key, AdapterTensorPart.LinearB), layer.Value.B),
        }),
        .. replaced.Select(weight => KeyValuePair.Create(weight.Key, IsAttached ? weight.Parameter : weight.Value)),
    ];

    internal Dictionary<string, Projection> Projections { get; }

    internal IReadOnlyList<TrainedParameter> Replaced => replaced;

    /// <summary>Makes a new adapter; it is not attached.</summary>
    /// <param name="model">The base.</param>
    /// <param name="config">Rank, alpha, targets and the rest.</param>
    /// <param name="seed">Seed of the first values.</param>
    /// <exception cref="InputException">The config selects nothing, names what is not there, or asks for what is not
    /// supported: all problems at once, with what could be adapted.</exception>
    public static LoraAdapter Create(PretrainedModel model, LoraConfig config, long seed)
    {
        config = TaskTypes.Fill(config with { BaseModel = config.BaseModel ?? model.Folder }, model.Network);
        config = config with { ModulesToSave = SavedModules.ForNew(config, model.Network) };
        TargetMatch match = TargetMatcher.Match(config, AdaptableModules.Of(model.Network), model.Config.ModelType, AdapterUse.Create);
        using var generator = new Generator().manual_seed(seed);
        using var scope = NewDisposeScope();
        return new LoraAdapter(model, match, (target, projection) =>
        {
            (Tensor a, Tensor b) = LoraInitialization.Draw(config.InitialWeights.Name, target.Rank, projection.InputSize, projection.OutputSize, generator);
            return MakeLayer(a, b, target, config, model.Network.Device);
        });
    }

    /// <summary>Reads a PEFT folder; the adapter is not attached.</summary>
    /// <exception cref="InputException">The config cannot be used, or tensors fit no module, are missing or mis-shaped: all
    /// problems at once.</exception>
    public static LoraAdapter Load(string folder, PretrainedModel model)
    {
        LoraConfig config = LoraConfig.Load(folder);
        if (TaskTypes.Head(config.TaskType) is { } head && head != model.Network.HeadKind)
            throw new InputException($"{folder} was trained for {config.TaskType}, but {model.Folder} was opened with the head {model.Network.HeadKind}. " +
                $"Use it for its own task, or open the base with the head {head}.");
        TargetMatch match = TargetMatcher.Match(config, AdaptableModules.Of(model.Network), model.Config.ModelType, AdapterUse.Load);
        using var scope = NewDisposeScope();
        using SafeTensorsFile file = OpenTensors(folder);
        IReadOnlyList<string> problems = Layout(model, match.Resolved, match.Targets)
            .Problems(file.Entries.Select(entry => KeyValuePair.Create(entry.Key, entry.Value.Shape)));
        if (problems.Count > 0)
            throw new InputException($"{file.Path} does not fit the model {model.Folder} and {LoraConfig.FileName}:", problems);
        RefuseDrawnWeights(folder, match.Resolved, model.Network);
        Tensor Read(LoraTarget target, AdapterTensorPart part) => file.Map(PeftTensorKeys.Key(target.Path, part));
        var adapter = new LoraAdapter(model, match, (target, _) =>
            MakeLayer(Read(target, AdapterTensorPart.LinearA), Read(target, AdapterTensorPart.LinearB), target, config, model.Network.Device));
        foreach (TrainedParameter weight in adapter.replaced) weight.Value.copy_(file.Map(weight.Key));
        adapter.Task = AdapterTask.Load(folder);
        return adapter;
    }

    /// <summary>Puts the pairs into the layers' slots.</summary>
    /// <exception cref="InvalidOperationException">A slot is taken by another adapter, or this one is merged.</exception>
    public void Attach()
    {
        if (IsAttached) return;
        if (IsMerged) throw new InvalidOperationException("The adapter is merged into the base; unmerge it before attaching it.");
        if (layers.Keys.FirstOrDefault(path => Projections[path].Adapter is not null) is { } taken)
            throw new InvalidOperationException($"{taken} has another adapter in its slot. Detach that one first.");
        foreach ((string path, LoraLayer layer) in layers) Projections[path].Adapter = layer;
        foreach (TrainedParameter weight in replaced) weight.Attach();
        IsAttached = true;
    }

    /// <summary>Takes the pairs out of the slots: the model computes as the base again.</summary>
    public void Detach()
    {
        if (!IsAttached) return;
        foreach (string path in layers.Keys) Projections[path].Adapter = null;
        foreach (TrainedParameter weight in replaced) weight.Detach();
        IsAttached = false;
    }

    /// <summary>Adds s·B·A into the base's weights in memory: the model computes as adapted, at the base's cost.</summary>
    /// <exception cref="InputException">The adapter targets an output head that shares the embedding's weight.</exception>
    public void Merge()
    {
        if (IsMerged) return;
        RefuseTiedHead();
        Detach();
        AddDeltas(1);
        foreach (TrainedParameter weight in replaced) weight.Attach();
        IsMerged = true;
    }

    /// <summary>Takes s·B·A out of the base's weights again; they are what they were to within rounding.</summary>
    public void Unmerge()
    {
        if (!IsMerged) return;
        AddDeltas(-1);
        foreach (TrainedParameter weight in replaced) weight.Detach();
        IsMerged = false;
    }

    /// <summary>Lets the adapter's weights require gradients, or not.</summary>
    /// <exception cref="InvalidOperationException">It is not attached.</exception>
    public void SetTrainable(bool trainable)
    {
        if (!IsAttached) throw new InvalidOperationException("Attach the adapter before training it.");
        foreach ((string _, Tensor weight) in Weights) weight.requires_grad = trainable;
    }

    /// <summary>Writes a PEFT folder: <c>adapter_config.json</c> and <c>adapter_model.safetensors</c>. It appears whole or
    /// not at all.</summary>
    public void Save(string folder) => AtomicFolder.Write(folder, into =>
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        SafeTensorsWriter.Write(Path.Combine(into, FileName),
            [.. Weights.Select(weight => KeyValuePair.Create(weight.Key, weight.Value.detach().cpu()))]);
        Config.Save(into);
        Task?.Save(into);
    });

    /// <inheritdoc/>
    public void Dispose()
    {
        Detach();
        foreach (LoraLayer layer in layers.Values) layer.Dispose();
        foreach (TrainedParameter weight in replaced) weight.Dispose();
    }

    private static LoraLayer MakeLayer(Tensor a, Tensor b, LoraTarget target, LoraConfig config, Device device)
    {
        Tensor Own(Tensor tensor) => tensor.to(ScalarType.Float32).to(device).clone().DetachFromDisposeScope();
        return new LoraLayer(Own(a), Own(b), target.Scale, config.Dropout.Value);
    }

    private void AddDeltas(double sign)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        foreach ((string path, LoraLayer layer) in layers)
        {
            using Tensor delta = layer.Delta();
            Projections[path].Weight.add_(Projections[path].StoresTransposed ? delta.t() : delta, sign);
        }
    }

    /// <summary>Refuses to merge into an output head that is the embedding too.</summary>
    internal void RefuseTiedHead()
    {
        INetwork network = model.Network;
        if (network.TiesHead && network.OutputHead is { } head && layers.ContainsKey(head.Path))
            throw new InputException($"The adapter targets {head.Path}, which shares its weight with {network.TokenEmbedding.Path}: " +
                "merging would change the embedding too. Use the adapter unmerged, or train it without this target.");
    }

    private static AdapterLayout Layout(PretrainedModel model, LoraConfig config, IReadOnlyList<LoraTarget> targets) => AdapterLayout.Of(config,
        targets, AdaptableModules.Of(model.Network), SavedModules.Tensors(config.ModulesToSave ?? [], model.Network));

    private static TrainedParameter TakeOver(AdapterTensor tensor, INetwork network)
    {
        string ending = tensor.Part == AdapterTensorPart.Weight ? ".weight" : ".bias";
        string name = network.Parameters.Keys.First(parameter => network.ModulePath(parameter) == tensor.Path + ending);
        return new TrainedParameter(tensor.Key, name, network.Parameters[name]);
    }

    // A head that neither the checkpoint nor the adapter brings would answer by chance.
    private static void RefuseDrawnWeights(string folder, LoraConfig config, INetwork network)
    {
        string[] drawn = [.. network.CreatedWeights.Select(network.ModulePath)
            .Where(weight => !(config.ModulesToSave ?? []).Any(name => SavedModules.Selects(name, weight)))];
        if (drawn.Length > 0)
            throw new InputException($"The base has no weights for its head {network.HeadKind}, and the adapter {folder} does not bring them " +
                "(modules_to_save). Use the base that it was trained on; missing:", drawn);
    }

    private static SafeTensorsFile OpenTensors(string folder)
    {
        string path = Path.Combine(folder, FileName);
        if (!File.Exists(path) && File.Exists(Path.Combine(folder, "adapter_model.bin")))
            throw new InputException($"{folder} holds adapter_model.bin, a pickle; expected {FileName}. Save it with PEFT's save_pretrained(…, safe_serialization=True).");
        return SafeTensorsFile.Open(path);
    }

    private void RefuseEmbeddings(IEnumerable<LoraTarget> targets)
    {
        List<string> embeddings = [.. targets.Where(target => !Projections.ContainsKey(target.Path)).Select(target => target.Path)];
        if (embeddings.Count > 0)
            throw new InputException("Low-rank pairs on embeddings are not supported yet; remove from target_modules:", embeddings);
    }
}
