using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>What sits in a <see cref="Projection"/>'s slot and changes what the projection computes.</summary>
public interface IProjectionAdapter
{
    /// <summary>The adapted output.</summary>
    /// <param name="projection">The layer the slot belongs to; its <see cref="Projection.Base"/> gives Wx + b.</param>
    /// <param name="input">[…, in]</param>
    /// <param name="dropout">The generator for dropout while training; null in evaluation.</param>
    /// <returns>[…, out]</returns>
    Tensor Forward(Projection projection, Tensor input, Generator? dropout);
}
