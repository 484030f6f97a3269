using LowRank.Adapters.Files;
using LowRank.Models;
using LowRank.Models.Layers;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>A layer of a model that adapters can attach to.</summary>
/// <param name="Path">Its path in adapters.</param>
/// <param name="Kind">The kind of layer.</param>
/// <param name="Slot">The slot for adapters.</param>
/// <param name="Linear">The linear layer; null for an embedding.</param>
/// <param name="Table">The embedding; null for a linear layer.</param>
/// <param name="Bias">Its bias, [out], or null.</param>
/// <param name="Parameter">The name of its weight among the model's parameters; a tied output head uses the
/// embedding's.</param>
/// <param name="BiasParameter">The name of its bias; null if there is none.</param>
public sealed record AdaptableLayer(string Path, ModuleKind Kind, AdapterSlot Slot, Linear? Linear,
    Embedding? Table, Tensor? Bias, string Parameter, string? BiasParameter)
{
    /// <summary>Its weight as the model stores it, in float32; a packed weight is expanded on every access, into the
    /// caller's dispose scope.</summary>
    public Tensor Weight => Linear?.Weight ?? Table!.Weight;

    /// <summary>Whether the weight is packed, so that it cannot itself be trained.</summary>
    public bool IsPacked => Linear?.Packed is not null;

    /// <summary>Whether it is the output head that shares the embedding's weight.</summary>
    public bool IsTiedHead { get; private init; }

    /// <summary>Whether the stored weight is [in, out].</summary>
    public bool StoresTransposed => Kind == ModuleKind.Conv1D;

    /// <summary>Its weight, without a copy unless packed: [out, in] for a projection, [rows, width] for an
    /// embedding.</summary>
    public Tensor Matrix => Linear?.Matrix ?? Table!.Weight;

    /// <summary>Width of the input; number of rows for an embedding.</summary>
    public int InputSize => Linear?.InputSize ?? (int)Table!.Weight.shape[0];

    /// <summary>Width of the output.</summary>
    public int OutputSize => Linear?.OutputSize ?? (int)Table!.Weight.shape[1];

    /// <summary>Wx of the base only, differentiable in x, without a copy of a packed W in the graph.</summary>
    /// <param name="input">[…, in]</param>
    /// <returns>[…, out]</returns>
    public Tensor Multiply(Tensor input) => Linear is { } layer ? layer.Multiply(input)
        : nn.functional.linear(input, Matrix);

    /// <summary>Every layer of a model that adapters can attach to, by path.</summary>
    public static IReadOnlyDictionary<string, AdaptableLayer> Of(INetwork network)
    {
        Embedding table = network.TokenEmbedding;
        List<AdaptableLayer> sites =
        [
            new(network.ModulePath(table.Path), ModuleKind.Embedding, table.Slot, null, table, null,
                table.Path + ".weight", null),
            .. network.LinearLayers.Select(projection => OfLinear(projection, network, isTied: false)),
            .. network.OutputHead is { } head ? [OfLinear(head, network, network.TiesHead)]
            : Array.Empty<AdaptableLayer>(),
        ];
        return sites.ToDictionary(site => site.Path);
    }

    private static AdaptableLayer OfLinear(Linear projection, INetwork network, bool isTied) => new(
        network.ModulePath(projection.Path), projection.StoresTransposed ? ModuleKind.Conv1D
            : ModuleKind.Linear, projection.Slot, projection, null,
        projection.Bias, isTied ? network.TokenEmbedding.Path + ".weight"
            : projection.Path + ".weight", BiasName(projection, network))
    {
        IsTiedHead = isTied,
    };

    // A masked language model's head may read a bias with a name other than its own.
    private static string? BiasName(Linear projection, INetwork network)
    {
        if (projection.Bias is not { } bias) return null;
        string name = projection.Path + ".bias";
        return network.Parameters.ContainsKey(name)
            || network.PackedWeights.ContainsKey(projection.Path + ".weight") ? name
            : network.Parameters.FirstOrDefault(weight => ReferenceEquals(weight.Value, bias)).Key ?? name;
    }
}

/// <summary>A layer of the model and an adapter's change to it.</summary>
/// <param name="site">The layer.</param>
/// <param name="layer">The change.</param>
public sealed class AdaptedLayer(AdaptableLayer site, IAdapterLayer layer) : IAdapterPart
{
    /// <summary>The layer.</summary>
    public AdaptableLayer Site => site;

    /// <summary>The adapter's change.</summary>
    public IAdapterLayer Layer => layer;

    /// <inheritdoc/>
    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights => Named(layer.Weights);

    /// <inheritdoc/>
    public IReadOnlyList<KeyValuePair<string, Tensor>> Copies => Named(layer.Copies);

    /// <inheritdoc/>
    public void Attach() => site.Slot.Attach(layer);

    /// <inheritdoc/>
    public void Detach() => site.Slot.Detach(layer);

    /// <inheritdoc/>
    public void Dispose() => layer.Dispose();

    private IReadOnlyList<KeyValuePair<string, Tensor>> Named(IReadOnlyList<KeyValuePair<string, Tensor>> tensors) =>
        [.. tensors.Select(
            tensor => KeyValuePair.Create(PeftTensorKeys.Prefix + site.Path + tensor.Key, tensor.Value))];
}

/// <summary>A model's modules as target matching sees them.</summary>
public static class AdaptableModules
{
    /// <summary>Every linear layer, the token embedding and the output head, followed by the modules that LoRA does not
    /// adapt (norms, position embeddings), whose biases may be trained.</summary>
    public static IReadOnlyList<ModuleInfo> Of(INetwork model)
    {
        List<ModuleInfo> adaptable =
        [
            new ModuleInfo(model.TokenEmbedding.Path, ModuleKind.Embedding, model.TokenEmbedding.Weight.shape[0],
                model.TokenEmbedding.Weight.shape[1], IsInputEmbedding: true),
            .. model.LinearLayers.Select(projection => Describe(projection, isHead: false)),
            .. model.OutputHead is { } head
            ? new[] { Describe(head, isHead: true) with { IsTied = model.TiesHead } } : [],
        ];
        HashSet<string> known = [.. adaptable.Select(module => module.Path)];
        IEnumerable<ModuleInfo> others = model.Parameters.Keys.Select(Module).Distinct()
            .Where(path => !known.Contains(path))
            .Select(path => new ModuleInfo(path, ModuleKind.Other,
                OutputSize: model.Parameters.TryGetValue(path + ".bias", out TorchSharp.torch.Tensor? bias)
                    ? bias.shape[0] : 0,
                HasBias: model.Parameters.ContainsKey(path + ".bias")));
        return [.. adaptable.Concat(others).Select(module => module with { Path = model.ModulePath(module.Path) })];
    }

    private static string Module(string parameter) => parameter[..parameter.LastIndexOf('.')];

    private static ModuleInfo Describe(Linear projection, bool isHead) => new(
        projection.Path, projection.StoresTransposed ? ModuleKind.Conv1D : ModuleKind.Linear,
        projection.InputSize, projection.OutputSize, projection.Bias is not null, IsOutputHead: isHead);
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
