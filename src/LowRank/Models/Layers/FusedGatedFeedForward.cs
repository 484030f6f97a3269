using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>down(activation(g) · u), where g and u are the halves of one projection (Phi-3, ModernBERT).</summary>
public sealed class FusedGatedFeedForward(Projection gateUp, Projection down, string activationName, double dropout = 0) : IFeedForward
{
    private readonly ActivationFunction activation = Activation.Find(activationName);

    /// <inheritdoc/>
    public IEnumerable<Projection> Projections => [gateUp, down];

    /// <inheritdoc/>
    public Tensor Forward(Tensor input, ForwardContext context, bool isRead = true)
    {
        Tensor gated = activation.GateHalves(gateUp.Forward(input, context.Dropout));
        return down.Forward(Dropout.Apply(gated, dropout, context.Dropout), context.Dropout, isRead);
    }
}
