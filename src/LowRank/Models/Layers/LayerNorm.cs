using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>Layer normalisation with weight and bias (arXiv 1607.06450).</summary>
public sealed class LayerNorm : INormalization
{
    private readonly Tensor weight;
    private readonly Tensor bias;
    private readonly double epsilon;

    /// <summary>Takes the weight and bias, each [width].</summary>
    public LayerNorm(WeightLoader weights, string path, int width, double epsilon)
    {
        weight = weights.Take(path + ".weight", width);
        bias = weights.Take(path + ".bias", width);
        this.epsilon = epsilon;
    }

    /// <inheritdoc/>
    public Tensor Forward(Tensor input) =>
        nn.functional.layer_norm(input, [input.shape[^1]], weight, bias, epsilon);
}
