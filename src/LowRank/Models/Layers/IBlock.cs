using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>One layer of a model.</summary>
public interface IBlock
{
    /// <summary>[batch, sequence, hidden] to the same shape.</summary>
    Tensor Forward(Tensor input, ForwardContext context);

    /// <summary>The layers that can be adapted.</summary>
    IEnumerable<Projection> Projections { get; }
}
