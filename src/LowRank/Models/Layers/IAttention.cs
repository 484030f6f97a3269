using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>The part of a block that mixes positions.</summary>
public interface IAttention
{
    /// <summary>[batch, sequence, hidden] to the same shape.</summary>
    Tensor Forward(Tensor input, ForwardContext context);

    /// <summary>The layers that can be adapted.</summary>
    IEnumerable<Projection> Projections { get; }
}
