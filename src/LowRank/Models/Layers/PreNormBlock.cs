using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>A pre-norm block: x += attention(norm(x)); x += feedForward(norm(x)).</summary>
public sealed class PreNormBlock(
    INormalization? attentionNorm, IAttention attention, INormalization feedForwardNorm, IFeedForward feedForward, double dropout,
    double? feedForwardDropout = null) : IBlock
{
    /// <inheritdoc/>
    public IEnumerable<Projection> Projections => attention.Projections.Concat(feedForward.Projections);

    /// <inheritdoc/>
    public Tensor Forward(Tensor input, ForwardContext context)
    {
        Tensor mixed = attention.Forward(attentionNorm?.Forward(input) ?? input, context);
        Tensor hidden = Residual.Add(input, Dropout.Apply(mixed, dropout, context.Dropout));
        Tensor transformed = feedForward.Forward(feedForwardNorm.Forward(hidden), context, context.IsOutputRead);
        return Residual.Add(hidden, Dropout.Apply(transformed, feedForwardDropout ?? dropout, context.Dropout));
    }
}
