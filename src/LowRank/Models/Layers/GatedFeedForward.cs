using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>down(activation(gate(x)) · up(x)) (GLU variants, arXiv 2002.05202).</summary>
public sealed class GatedFeedForward(Projection gate, Projection up, Projection down, string activationName, double dropout = 0) : IFeedForward
{
    private readonly ActivationFunction activation = Activation.Find(activationName);

    /// <summary>Takes gate_proj, up_proj and down_proj below <paramref name="path"/>.</summary>
    public GatedFeedForward(WeightLoader weights, string path, DecoderShape shape)
        : this(Projection.Linear(weights, path + ".gate_proj", shape.HiddenSize, shape.IntermediateSize, shape.FeedForwardBias),
            Projection.Linear(weights, path + ".up_proj", shape.HiddenSize, shape.IntermediateSize, shape.FeedForwardBias),
            Projection.Linear(weights, path + ".down_proj", shape.IntermediateSize, shape.HiddenSize, shape.FeedForwardBias), shape.Activation)
    {
    }

    /// <inheritdoc/>
    public IEnumerable<Projection> Projections => [gate, up, down];

    /// <inheritdoc/>
    public Tensor Forward(Tensor input, ForwardContext context, bool isRead = true)
    {
        Tensor gated = activation.Gate(gate.Forward(input, context.Dropout), up.Forward(input, context.Dropout));
        return down.Forward(Dropout.Apply(gated, dropout, context.Dropout), context.Dropout, isRead);
    }
}
