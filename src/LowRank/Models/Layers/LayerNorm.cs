using LowRank.Tensors.Kernels;
using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>Layer normalisation (arXiv 1607.06450), with weight and bias where the checkpoint has them.</summary>
public sealed class LayerNorm : INormalization
{
    private readonly Tensor? weight;
    private readonly RowNorm kernel;
    private readonly Tensor? bias;
    private readonly double epsilon;

    /// <summary>Takes the weight and bias, each [width].</summary>
    /// <param name="weights">The weights.</param>
    /// <param name="path">The module's path.</param>
    /// <param name="width">The width normalised over.</param>
    /// <param name="epsilon">Guards against division by zero.</param>
    /// <param name="hasWeight">Whether there is a weight; 1 otherwise.</param>
    /// <param name="hasBias">Whether there is a bias; 0 otherwise.</param>
    public LayerNorm(WeightLoader weights, string path, int width, double epsilon, bool hasWeight = true, bool hasBias = true)
    {
        if (hasWeight) weight = weights.Take(path + ".weight", width);
        if (hasBias) bias = weights.Take(path + ".bias", width);
        this.epsilon = epsilon;
        kernel = new RowNorm(weight, bias, epsilon, 0, isCentred: true);
    }

    /// <summary>A norm of a task's head: its weights are taken where the checkpoint has them, else ones and zeros.</summary>
    public LayerNorm(WeightLoader weights, string path, int width, double epsilon, bool hasBias, double range)
    {
        weight = weights.TakeOrDraw(path + ".weight", range, width);
        if (hasBias) bias = weights.TakeOrDraw(path + ".bias", range, width);
        this.epsilon = epsilon;
        kernel = new RowNorm(weight, bias, epsilon, 0, isCentred: true);
    }

    /// <inheritdoc/>
    public Tensor Forward(Tensor input)
    {
        if (kernel.Fits(input)) return is_grad_enabled() && input.requires_grad ? TrainingNorm.Apply(input, kernel) : kernel.Value(input);
        return nn.functional.layer_norm(input, [input.shape[^1]], weight, bias, epsilon);
    }
}
