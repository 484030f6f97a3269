using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>Root mean square normalisation: w · x / √(mean(x²) + ε) (arXiv 1910.07467).</summary>
public sealed class RmsNorm : INormalization
{
    private readonly Tensor weight;
    private readonly double epsilon;

    /// <summary>Takes the weight [width].</summary>
    public RmsNorm(WeightLoader weights, string path, int width, double epsilon)
    {
        weight = weights.Take(path + ".weight", width);
        this.epsilon = epsilon;
    }

    /// <inheritdoc/>
    public Tensor Forward(Tensor input)
    {
        Tensor meanSquare = input.pow(2).mean([-1], keepdim: true);
        return weight * (input * rsqrt(meanSquare + epsilon));
    }
}
