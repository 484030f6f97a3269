using LowRank.Adapters.Files;
using LowRank.Kernels;
using LowRank.Models;
using LowRank.Models.Layers;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>A layer of a model that adapters can attach to.</summary>
/// <param name="Module">Its path, kind and size.</param>
/// <param name="Linear">The linear layer; null for an embedding.</param>
/// <param name="Table">The embedding; null for a linear layer.</param>
/// <param name="Parameter">The name of its weight among the model's parameters; a tied output head uses the
/// embedding's.</param>
/// <param name="BiasParameter">The name of its bias; null if there is none.</param>
public sealed record AdaptableLayer(
    ModuleInfo Module, Linear? Linear, Embedding? Table, string Parameter, string? BiasParameter)
{
    /// <summary>The slot for adapters.</summary>
    internal AdapterSlot Slot => Linear?.Slot ?? Table!.Slot;

    /// <summary>Its path in adapters.</summary>
    public string Path => Module.Path;

    /// <summary>The kind of layer.</summary>
    public ModuleKind Kind => Module.Kind;

    /// <summary>Its bias, [out], or null.</summary>
    public Tensor? Bias => Linear?.Bias;

    /// <summary>Its weight as the model stores it, in float32; a packed weight is expanded on every access, into the
    /// caller's dispose scope.</summary>
    public Tensor Weight => Linear?.Weight ?? Table!.Weight;

    /// <summary>Whether the weight is packed, so that it cannot itself be trained.</summary>
    public bool IsPacked => Linear?.Packed is not null;

    /// <summary>Whether it is the output head that shares the embedding's weight.</summary>
    public bool IsTiedHead => Module.IsTied;

    /// <summary>Whether the stored weight is [in, out].</summary>
    public bool StoresTransposed => Kind == ModuleKind.Conv1D;

    /// <summary>Its weight, without a copy unless packed: [out, in] for a projection, [rows, width] for an
    /// embedding.</summary>
    public Tensor Matrix
    {
        get
        {
            Tensor stored = Linear?.Matrix ?? Table!.Weight;
            // A base opened for merging keeps its weights as they are stored.
            return stored.dtype == ScalarType.Float32 ? stored : stored.to(ScalarType.Float32);
        }
    }

    /// <summary>Width of the input; number of rows for an embedding.</summary>
    public int InputSize => (int)Module.InputSize;

    /// <summary>Width of the output.</summary>
    public int OutputSize => (int)Module.OutputSize;

    /// <summary>Wx of the base only, differentiable in x, without a copy of a packed W in the graph.</summary>
    /// <param name="input">[…, in]</param>
    /// <returns>[…, out]</returns>
    public Tensor Multiply(Tensor input) => Linear is { } layer ? layer.Multiply(input)
        : LinearProduct.Apply(input, Matrix);

    /// <summary>Every layer of a model that adapters can attach to, by path.</summary>
    public static IReadOnlyDictionary<string, AdaptableLayer> From(INetwork network) =>
        All(network).ToDictionary(layer => layer.Path);

    /// <summary>The token embedding, every linear layer and the output head.</summary>
    internal static IEnumerable<AdaptableLayer> All(INetwork network) =>
    [
        FromTable(network.TokenEmbedding, network),
        .. network.LinearLayers.Select(layer => FromLinear(layer, network, isHead: false)),
        .. network.OutputHead is { } head ? [FromLinear(head, network, isHead: true)] : Array.Empty<AdaptableLayer>(),
    ];

    private static AdaptableLayer FromTable(Embedding table, INetwork network)
    {
        var module = new ModuleInfo(network.ModulePath(table.Path), ModuleKind.Embedding, table.Weight.shape[0],
            table.Weight.shape[1], IsInputEmbedding: true);
        return new AdaptableLayer(module, null, table, table.Path + ".weight", null);
    }

    private static AdaptableLayer FromLinear(Linear linear, INetwork network, bool isHead)
    {
        bool isTied = isHead && network.TiesHead;
        var module = new ModuleInfo(
            network.ModulePath(linear.Path), linear.StoresTransposed ? ModuleKind.Conv1D : ModuleKind.Linear,
            linear.InputSize, linear.OutputSize, linear.Bias is not null, isHead) { IsTied = isTied };
        return new AdaptableLayer(
            module, linear, null, (isTied ? network.TokenEmbedding.Path : linear.Path) + ".weight",
            BiasName(linear, network));
    }

    // A masked language model's head may read a bias with a name other than its own.
    private static string? BiasName(Linear linear, INetwork network)
    {
        if (linear.Bias is not { } bias) return null;
        string name = linear.Path + ".bias";
        return network.Parameters.ContainsKey(name)
            || network.PackedWeights.ContainsKey(linear.Path + ".weight") ? name
            : network.Parameters.FirstOrDefault(weight => ReferenceEquals(weight.Value, bias)).Key ?? name;
    }
}

/// <summary>A layer of the model and an adapter's change to it.</summary>
/// <param name="baseLayer">The layer.</param>
/// <param name="layer">The change.</param>
public sealed class AdaptedLayer(AdaptableLayer baseLayer, IAdapterLayer layer) : IAdapterPart
{
    /// <summary>The layer.</summary>
    public AdaptableLayer Base => baseLayer;

    /// <summary>The adapter's change.</summary>
    public IAdapterLayer Layer => layer;

    /// <inheritdoc/>
    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights => Named(layer.Weights);

    /// <inheritdoc/>
    public IReadOnlyList<KeyValuePair<string, Tensor>> Copies => Named(layer.Copies);

    /// <inheritdoc/>
    public void Attach() => baseLayer.Slot.Attach(layer);

    /// <inheritdoc/>
    public void Detach() => baseLayer.Slot.Detach(layer);

    /// <inheritdoc/>
    public void Dispose() => layer.Dispose();

    private IReadOnlyList<KeyValuePair<string, Tensor>> Named(IReadOnlyList<KeyValuePair<string, Tensor>> tensors) =>
        [.. tensors.Select(
            tensor => KeyValuePair.Create(PeftTensorKeys.Prefix + baseLayer.Path + tensor.Key, tensor.Value))];
}

/// <summary>A module of a model as an adapter sees it.</summary>
/// <param name="Path">Its path, such as <c>model.layers.0.self_attn.q_proj</c>.</param>
/// <param name="Kind">The kind of module.</param>
/// <param name="InputSize">Width of the input; number of rows for an embedding; 0 for
/// <see cref="ModuleKind.Other"/>.</param>
/// <param name="OutputSize">Width of the output and therefore of the bias.</param>
/// <param name="HasBias">Whether it has a bias, [<paramref name="OutputSize"/>].</param>
/// <param name="IsOutputHead">Whether it maps to the vocabulary (transformers' <c>get_output_embeddings</c>).</param>
/// <param name="IsInputEmbedding">Whether it is the token embedding (<c>get_input_embeddings</c>).</param>
public sealed record ModuleInfo(
    string Path,
    ModuleKind Kind,
    long InputSize = 0,
    long OutputSize = 0,
    bool HasBias = false,
    bool IsOutputHead = false,
    bool IsInputEmbedding = false)
{
    /// <summary>Whether it shares the embedding's weight and has none of its own.</summary>
    public bool IsTied { get; init; }

    /// <summary>Every module of a model: the layers that adapters can attach to, followed by the others (norms,
    /// position embeddings), whose biases may be trained.</summary>
    internal static IReadOnlyList<ModuleInfo> From(INetwork model)
    {
        List<AdaptableLayer> layers = [.. AdaptableLayer.All(model)];
        HashSet<string> known = [.. layers.Select(layer => layer.Linear?.Path ?? layer.Table!.Path)];
        IEnumerable<ModuleInfo> others = model.Parameters.Keys
            .Select(parameter => parameter[..parameter.LastIndexOf('.')]).Distinct()
            .Where(path => !known.Contains(path))
            .Select(path => new ModuleInfo(model.ModulePath(path), ModuleKind.Other,
                OutputSize: model.Parameters.GetValueOrDefault(path + ".bias")?.shape[0] ?? 0,
                HasBias: model.Parameters.ContainsKey(path + ".bias")));
        return [.. layers.Select(layer => layer.Module), .. others];
    }
}

/// <summary>The kind of a module, from an adapter's point of view.</summary>
public enum ModuleKind
{
    /// <summary>A module that LoRA does not adapt: a norm, an activation, a container.</summary>
    Other,

    /// <summary>A linear layer, weight stored [out, in].</summary>
    Linear,

    /// <summary>GPT-2's linear layer, weight stored [in, out].</summary>
    Conv1D,

    /// <summary>An embedding table, weight stored [rows, width].</summary>
    Embedding,
}
