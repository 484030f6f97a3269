using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>down(activation(gate(x)) · up(x)) (GLU variants, arXiv 2002.05202).</summary>
public sealed class GatedFeedForward : IFeedForward
{
    private readonly Projection gate;
    private readonly Projection up;
    private readonly Projection down;
    private readonly Func<Tensor, Tensor> activation;

    /// <summary>Takes gate_proj, up_proj and down_proj below <paramref name="path"/>.</summary>
    public GatedFeedForward(WeightLoader weights, string path, DecoderShape shape)
    {
        bool bias = shape.FeedForwardBias;
        gate = Projection.Linear(weights, path + ".gate_proj", shape.HiddenSize, shape.IntermediateSize, bias);
        up = Projection.Linear(weights, path + ".up_proj", shape.HiddenSize, shape.IntermediateSize, bias);
        down = Projection.Linear(weights, path + ".down_proj", shape.IntermediateSize, shape.HiddenSize, bias);
        activation = Activation.Get(shape.Activation);
    }

    /// <inheritdoc/>
    public IEnumerable<Projection> Projections => [gate, up, down];

    /// <inheritdoc/>
    public Tensor Forward(Tensor input, ForwardContext context) =>
        down.Forward(activation(gate.Forward(input, context.Dropout)) * up.Forward(input, context.Dropout), context.Dropout);
}
