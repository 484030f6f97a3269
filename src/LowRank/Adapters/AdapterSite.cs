using LowRank.Models;
using LowRank.Models.Layers;
using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>A layer of a model that adapters can sit on.</summary>
/// <param name="Path">Its path as adapters name it.</param>
/// <param name="Kind">What it is.</param>
/// <param name="Slot">Where adapters sit.</param>
/// <param name="Weight">Its weight as the model holds it.</param>
/// <param name="Bias">Its bias, [out], or null.</param>
/// <param name="Parameter">The name of its weight among the model's parameters; a tied output head has the embedding's.</param>
/// <param name="BiasParameter">The name of its bias; null where it has none.</param>
public sealed record AdapterSite(string Path, ModuleKind Kind, AdapterSlot Slot, Tensor Weight, Tensor? Bias, string Parameter, string? BiasParameter)
{
    /// <summary>Whether it is the head that computes with the embedding's weight.</summary>
    public bool IsTiedHead { get; private init; }

    /// <summary>Whether the stored weight is [in, out].</summary>
    public bool StoresTransposed => Kind == ModuleKind.Conv1D;

    /// <summary>Its weight without a copy: [out, in] of a projection, [rows, width] of an embedding.</summary>
    public Tensor Matrix => StoresTransposed ? Weight.t() : Weight;

    /// <summary>Width of the input; rows of an embedding.</summary>
    public int InputSize => (int)Weight.shape[Kind is ModuleKind.Embedding or ModuleKind.Conv1D ? 0 : 1];

    /// <summary>Width of the output.</summary>
    public int OutputSize => (int)Weight.shape[Kind is ModuleKind.Embedding or ModuleKind.Conv1D ? 1 : 0];

    /// <summary>Every layer of a model that adapters can sit on, by path.</summary>
    public static IReadOnlyDictionary<string, AdapterSite> Of(INetwork network)
    {
        Embedding table = network.TokenEmbedding;
        List<AdapterSite> sites =
        [
            new(network.ModulePath(table.Path), ModuleKind.Embedding, table.Slot, table.Weight, null, table.Path + ".weight", null),
            .. network.Projections.Select(projection => Linear(projection, network, isTied: false)),
            .. network.OutputHead is { } head ? [Linear(head, network, network.TiesHead)] : Array.Empty<AdapterSite>(),
        ];
        return sites.ToDictionary(site => site.Path);
    }

    private static AdapterSite Linear(Projection projection, INetwork network, bool isTied) => new(
        network.ModulePath(projection.Path), projection.StoresTransposed ? ModuleKind.Conv1D : ModuleKind.Linear, projection.Slot, projection.Weight,
        projection.Bias, isTied ? network.TokenEmbedding.Path + ".weight" : projection.Path + ".weight", projection.Bias is null ? null : projection.Path + ".bias")
    {
        IsTiedHead = isTied,
    };
}
