using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>down(activation(g) · u), where g and u are the halves of one projection (Phi-3, ModernBERT).</summary>
public sealed class FusedGatedFeedForward(Projection gateUp, Projection down, string activationName, double dropout = 0) : IFeedForward
{
    private readonly Func<Tensor, Tensor> activation = Activation.Get(activationName);

    /// <inheritdoc/>
    public IEnumerable<Projection> Projections => [gateUp, down];

    /// <inheritdoc/>
    public Tensor Forward(Tensor input, ForwardContext context)
    {
        Tensor both = gateUp.Forward(input, context.Dropout);
        long half = both.shape[^1] / 2;
        Tensor gated = activation(both.narrow(-1, 0, half)) * both.narrow(-1, half, half);
        return down.Forward(Dropout.Apply(gated, dropout, context.Dropout), context.Dropout);
    }
}
