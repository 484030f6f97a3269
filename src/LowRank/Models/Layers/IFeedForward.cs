using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>The position-wise part of a block.</summary>
public interface IFeedForward
{
    /// <summary>[batch, sequence, hidden] to the same shape.</summary>
    /// <param name="input">The states.</param>
    /// <param name="context">The pass.</param>
    /// <param name="isRead">Whether someone reads the values; otherwise the graph alone matters, and the last product may be left out.</param>
    Tensor Forward(Tensor input, ForwardContext context, bool isRead = true);

    /// <summary>The layers that can be adapted.</summary>
    IEnumerable<Projection> Projections { get; }
}
