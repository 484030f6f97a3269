using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>What sits in a layer's <see cref="AdapterSlot"/> and changes what the layer computes.</summary>
public interface ISlotAdapter
{
    /// <summary>Its tensors by what follows the module's path in their keys, such as <c>.lora_A.weight</c>; none of what only looks on.</summary>
    IReadOnlyList<KeyValuePair<string, Tensor>> Weights => [];

    /// <summary>The adapted output.</summary>
    /// <param name="input">[…, in] of a projection; whole numbers of an embedding.</param>
    /// <param name="inner">What the layer computes without this adapter: the base, or the base with the adapters below.</param>
    /// <param name="dropout">The generator for dropout while training; null in evaluation.</param>
    /// <returns>[…, out]</returns>
    Tensor Forward(Tensor input, Func<Tensor, Tensor> inner, Generator? dropout);
}
