using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>down(activation(up(x))).</summary>
public sealed class PlainFeedForward(Projection up, Projection down, string activationName) : IFeedForward
{
    private readonly Func<Tensor, Tensor> activation = Activation.Get(activationName);

    /// <inheritdoc/>
    public IEnumerable<Projection> Projections => [up, down];

    /// <inheritdoc/>
    public Tensor Forward(Tensor input, ForwardContext context) =>
        down.Forward(activation(up.Forward(input, context.Dropout)), context.Dropout);
}
