using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>A block whose parts both read its input, as GPT-NeoX's (arXiv 2204.06745, section 2.1):
/// x += attention(norm(x)) + feedForward(norm'(x)).</summary>
public sealed class ParallelBlock(
    INormalization attentionNorm, IAttention attention, INormalization feedForwardNorm, IFeedForward feedForward, double dropout) : IBlock
{
    /// <inheritdoc/>
    public IEnumerable<Projection> Projections => attention.Projections.Concat(feedForward.Projections);

    /// <inheritdoc/>
    public Tensor Forward(Tensor input, ForwardContext context)
    {
        Tensor mixed = Dropout.Apply(attention.Forward(attentionNorm.Forward(input), context), dropout, context.Dropout);
        Tensor transformed = Dropout.Apply(feedForward.Forward(feedForwardNorm.Forward(input), context, context.IsOutputRead), dropout, context.Dropout);
        return Residual.Add(input, Residual.Add(mixed, transformed));
    }
}
