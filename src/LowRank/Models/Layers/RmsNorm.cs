using LowRank.Tensors.Kernels;
using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>Root mean square normalisation: (offset + w) · x / √(mean(x²) + ε) (arXiv 1910.07467).</summary>
public sealed class RmsNorm : INormalization
{
    private readonly Tensor weight;
    private readonly RowNorm kernel;
    private readonly double epsilon;
    private readonly double offset;

    /// <summary>Takes the weight [width].</summary>
    /// <param name="weights">The weights.</param>
    /// <param name="path">The module's path.</param>
    /// <param name="width">The width normalised over.</param>
    /// <param name="epsilon">Guards against division by zero.</param>
    /// <param name="offset">What is added to the stored weight: 1 for Gemma, which stores the difference from 1.</param>
    public RmsNorm(WeightLoader weights, string path, int width, double epsilon, double offset = 0)
    {
        this.offset = offset;
        weight = weights.Take(path + ".weight", width);
        this.epsilon = epsilon;
        kernel = new RowNorm(weight, null, epsilon, offset, isCentred: false);
    }

    /// <inheritdoc/>
    public Tensor Forward(Tensor input)
    {
        if (kernel.Fits(input)) return is_grad_enabled() && input.requires_grad ? TrainingNorm.Apply(input, kernel) : kernel.Value(input);
        Tensor meanSquare = input.pow(2).mean([-1], keepdim: true);
        return (offset == 0 ? weight : weight + offset) * (input * rsqrt(meanSquare + epsilon));
    }
}
