using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>down(activation(up(x))).</summary>
public sealed class PlainFeedForward(Projection up, Projection down, string activationName, double dropout = 0) : IFeedForward
{
    private readonly Func<Tensor, Tensor> activation = Activation.Get(activationName);

    /// <inheritdoc/>
    public IEnumerable<Projection> Projections => [up, down];

    /// <inheritdoc/>
    public Tensor Forward(Tensor input, ForwardContext context, bool isRead = true) =>
        down.Forward(Dropout.Apply(activation(up.Forward(input, context.Dropout)), dropout, context.Dropout), context.Dropout, isRead);
}
