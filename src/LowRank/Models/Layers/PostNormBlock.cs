using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>A post-norm block, as the first transformer's (arXiv 1706.03762) and BERT's: x = norm(x + attention(x));
/// x = norm'(x + feedForward(x)).</summary>
public sealed class PostNormBlock(
    IAttention attention, INormalization attentionNorm, IFeedForward feedForward, INormalization feedForwardNorm, double dropout,
    double? feedForwardDropout = null) : IBlock
{
    /// <inheritdoc/>
    public IEnumerable<Projection> Projections => attention.Projections.Concat(feedForward.Projections);

    /// <inheritdoc/>
    public Tensor Forward(Tensor input, ForwardContext context)
    {
        Tensor mixed = Dropout.Apply(attention.Forward(input, context), dropout, context.Dropout);
        Tensor hidden = attentionNorm.Forward(Residual.Add(input, mixed));
        Tensor transformed = Dropout.Apply(feedForward.Forward(hidden, context), feedForwardDropout ?? dropout, context.Dropout);
        return feedForwardNorm.Forward(Residual.Add(hidden, transformed));
    }
}
