using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>The position-wise part of a block.</summary>
public interface IFeedForward
{
    /// <summary>[batch, sequence, hidden] to the same shape.</summary>
    Tensor Forward(Tensor input, ForwardContext context);

    /// <summary>The layers that can be adapted.</summary>
    IEnumerable<Projection> Projections { get; }
}
