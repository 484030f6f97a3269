using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>A block with norms before and after each part, as Gemma 2's (arXiv 2408.00118, section 2):
/// x += norm(attention(norm(x))); x += norm(feedForward(norm(x))).</summary>
public sealed class SandwichBlock(
    INormalization beforeAttention, IAttention attention, INormalization afterAttention,
    INormalization beforeFeedForward, IFeedForward feedForward, INormalization afterFeedForward) : IBlock
{
    /// <inheritdoc/>
    public IEnumerable<Projection> Projections => attention.Projections.Concat(feedForward.Projections);

    /// <inheritdoc/>
    public Tensor Forward(Tensor input, ForwardContext context)
    {
        Tensor hidden = Residual.Add(input, afterAttention.Forward(attention.Forward(beforeAttention.Forward(input), context)));
        return Residual.Add(hidden, afterFeedForward.Forward(feedForward.Forward(beforeFeedForward.Forward(hidden), context)));
    }
}
