using LowRank.Models;
using LowRank.Models.Layers;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>A layer of a model that adapters can sit on.</summary>
/// <param name="Path">Its path as adapters name it.</param>
/// <param name="Kind">What it is.</param>
/// <param name="Slot">Where adapters sit.</param>
/// <param name="Projection">The linear layer; null of an embedding.</param>
/// <param name="Table">The embedding; null of a linear layer.</param>
/// <param name="Bias">Its bias, [out], or null.</param>
/// <param name="Parameter">The name of its weight among the model's parameters; a tied output head has the embedding's.</param>
/// <param name="BiasParameter">The name of its bias; null where it has none.</param>
public sealed record AdapterSite(string Path, ModuleKind Kind, AdapterSlot Slot, Projection? Projection, Embedding? Table, Tensor? Bias, string Parameter, string? BiasParameter)
{
    /// <summary>Its weight as the model holds it, in float32; one that is kept packed is expanded anew, into the caller's dispose scope.</summary>
    public Tensor Weight => Projection?.Weight ?? Table!.Weight;

    /// <summary>Whether the weight is kept packed, so that it cannot be trained itself.</summary>
    public bool IsPacked => Projection?.Packed is not null;

    /// <summary>Whether it is the head that computes with the embedding's weight.</summary>
    public bool IsTiedHead { get; private init; }

    /// <summary>Whether the stored weight is [in, out].</summary>
    public bool StoresTransposed => Kind == ModuleKind.Conv1D;

    /// <summary>Its weight without a copy, unless it is kept packed: [out, in] of a projection, [rows, width] of an embedding.</summary>
    public Tensor Matrix => Projection?.Matrix ?? Table!.Weight;

    /// <summary>Width of the input; rows of an embedding.</summary>
    public int InputSize => Projection?.InputSize ?? (int)Table!.Weight.shape[0];

    /// <summary>Width of the output.</summary>
    public int OutputSize => Projection?.OutputSize ?? (int)Table!.Weight.shape[1];

    /// <summary>Wx of the base alone, differentiable in x, without a copy of a packed W in the graph.</summary>
    /// <param name="input">[…, in]</param>
    /// <returns>[…, out]</returns>
    public Tensor Multiply(Tensor input) => Projection is { } layer ? layer.Multiply(input) : nn.functional.linear(input, Matrix);

    /// <summary>Every layer of a model that adapters can sit on, by path.</summary>
    public static IReadOnlyDictionary<string, AdapterSite> Of(INetwork network)
    {
        Embedding table = network.TokenEmbedding;
        List<AdapterSite> sites =
        [
            new(network.ModulePath(table.Path), ModuleKind.Embedding, table.Slot, null, table, null, table.Path + ".weight", null),
            .. network.Projections.Select(projection => Linear(projection, network, isTied: false)),
            .. network.OutputHead is { } head ? [Linear(head, network, network.TiesHead)] : Array.Empty<AdapterSite>(),
        ];
        return sites.ToDictionary(site => site.Path);
    }

    private static AdapterSite Linear(Projection projection, INetwork network, bool isTied) => new(
        network.ModulePath(projection.Path), projection.StoresTransposed ? ModuleKind.Conv1D : ModuleKind.Linear, projection.Slot, projection, null,
        projection.Bias, isTied ? network.TokenEmbedding.Path + ".weight" : projection.Path + ".weight", BiasName(projection, network))
    {
        IsTiedHead = isTied,
    };

    // A masked language model's head may read a bias of another name than its own.
    private static string? BiasName(Projection projection, INetwork network)
    {
        if (projection.Bias is not { } bias) return null;
        string name = projection.Path + ".bias";
        return network.Parameters.ContainsKey(name) || network.PackedWeights.ContainsKey(projection.Path + ".weight") ? name
            : network.Parameters.FirstOrDefault(weight => ReferenceEquals(weight.Value, bias)).Key ?? name;
    }
}
