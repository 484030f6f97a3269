using LowRank.Models.Layers;
using static TorchSharp.torch;

namespace LowRank.Adapters;

/// <summary>An adapter's change to one layer.</summary>
public interface IAdapterLayer : ISlotAdapter, IDisposable
{
    /// <summary>Its tensors by key suffix after the module's path, such as <c>.lora_A.weight</c>.</summary>
    new IReadOnlyList<KeyValuePair<string, Tensor>> Weights { get; }

    IReadOnlyList<KeyValuePair<string, Tensor>> ISlotAdapter.Weights => Weights;

    /// <summary>Additional tensors in the file, each derived from what another layer trains; named as in
    /// <see cref="Weights"/>.</summary>
    IReadOnlyList<KeyValuePair<string, Tensor>> Copies => [];

    /// <summary>Whether it changes an embedding and the output head that shares its weight alike.</summary>
    bool CoversTie => false;

    /// <summary>Whether it only follows another layer's change of the same weight.</summary>
    bool Follows => false;

    /// <summary>The factor of the change; 1 unless adapters are weighted.</summary>
    double Weight { get; set; }

    /// <summary>Whether <see cref="Merged"/> adds something that does not depend on the weight.</summary>
    bool IsAdditive { get; }

    /// <summary>Whether <see cref="Merged"/> changes the bias too.</summary>
    bool ChangesBias => false;

    /// <summary>The weight with the change merged in.</summary>
    /// <param name="weight">The layer's weight in float32: [out, in] for a projection, [rows, width] for an
    /// embedding.</param>
    /// <param name="bias">Its bias, [out], or null.</param>
    /// <returns>New tensors, in the caller's dispose scope; the bias is <paramref name="bias"/> itself if it is
    /// unchanged.</returns>
    /// <exception cref="InputException">The change cannot be expressed in the layer's weight and bias.</exception>
    (Tensor Weight, Tensor? Bias) Merged(Tensor weight, Tensor? bias);
}

/// <summary>A part of an adapter: a change to one layer, a replaced weight, or a prompt before the text.</summary>
public interface IAdapterPart : IDisposable
{
    /// <summary>Its tensors by their keys in the adapter's file.</summary>
    IReadOnlyList<KeyValuePair<string, Tensor>> Weights { get; }

    /// <summary>Additional tensors in the file, each derived from a trained one.</summary>
    IReadOnlyList<KeyValuePair<string, Tensor>> Copies => [];

    /// <summary>Makes the part take part in the model's computation.</summary>
    void Attach();

    /// <summary>Removes the part: the model computes as before <see cref="Attach"/>.</summary>
    void Detach();
}

/// <summary>A part whose tensors are saved with the adapter but never trained.</summary>
internal interface IFrozenPart : IAdapterPart;
