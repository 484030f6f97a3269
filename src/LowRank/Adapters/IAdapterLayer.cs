using LowRank.Models.Layers;
using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>What an adapter does to one layer.</summary>
public interface IAdapterLayer : ISlotAdapter, IDisposable
{
    /// <summary>Its tensors by what follows the module's path in their keys, such as <c>.lora_A.weight</c>.</summary>
    new IReadOnlyList<KeyValuePair<string, Tensor>> Weights { get; }

    IReadOnlyList<KeyValuePair<string, Tensor>> ISlotAdapter.Weights => Weights;

    /// <summary>Tensors that the file has besides, each a form of what another layer trains; named as in <see cref="Weights"/>.</summary>
    IReadOnlyList<KeyValuePair<string, Tensor>> Copies => [];

    /// <summary>Whether the change is of an embedding and of the output head that shares its weight, alike.</summary>
    bool CoversTie => false;

    /// <summary>Whether it only follows another layer's change of the same weight.</summary>
    bool Follows => false;

    /// <summary>The share of the change that is applied; 1 unless adapters are weighed against each other.</summary>
    double Share { get; set; }

    /// <summary>Whether <see cref="Merged"/> adds something that does not depend on the weight.</summary>
    bool IsAdditive { get; }

    /// <summary>Whether <see cref="Merged"/> changes the bias too.</summary>
    bool ChangesBias => false;

    /// <summary>The weight with the change in it.</summary>
    /// <param name="weight">The layer's weight in float32: [out, in] of a projection, [rows, width] of an embedding.</param>
    /// <param name="bias">Its bias, [out], or null.</param>
    /// <returns>New tensors, in the caller's dispose scope; the bias is <paramref name="bias"/> itself where it does not change.</returns>
    /// <exception cref="InputException">The change cannot be expressed in the layer's weight and bias.</exception>
    (Tensor Weight, Tensor? Bias) Merged(Tensor weight, Tensor? bias);
}
