using LowRank.Kernels;
using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>A normalisation over the last axis.</summary>
public interface INormalization
{
    /// <summary>Normalises […, width], without changing the shape.</summary>
    Tensor Forward(Tensor input);
}

/// <summary>Layer normalisation (arXiv 1607.06450), with a weight and bias if the checkpoint has them.</summary>
public sealed class LayerNorm : INormalization
{
    private readonly Tensor? weight;
    private readonly Tensor? bias;
    private readonly double epsilon;

    /// <summary>Loads the weight and bias, each [width].</summary>
    /// <param name="weights">The weights.</param>
    /// <param name="path">The module's path.</param>
    /// <param name="width">The width of the normalised axis.</param>
    /// <param name="epsilon">Guards against division by zero.</param>
    /// <param name="hasWeight">Whether there is a weight; otherwise 1.</param>
    /// <param name="hasBias">Whether there is a bias; otherwise 0.</param>
    public LayerNorm(
        WeightLoader weights, string path, int width, double epsilon, bool hasWeight = true, bool hasBias = true)
    {
        if (hasWeight) weight = weights.Take(path + ".weight", width);
        if (hasBias) bias = weights.Take(path + ".bias", width);
        this.epsilon = epsilon;
    }

    /// <summary>A norm of a task head: its weights are loaded if the checkpoint has them, otherwise ones and
    /// zeros.</summary>
    public LayerNorm(WeightLoader weights, string path, int width, double epsilon, bool hasBias, double range)
    {
        weight = weights.TakeOrDraw(path + ".weight", range, width);
        if (hasBias) bias = weights.TakeOrDraw(path + ".bias", range, width);
        this.epsilon = epsilon;
    }

    /// <inheritdoc/>
    public Tensor Forward(Tensor input) => Norm.Layer(input, weight, bias, epsilon);
}

/// <summary>Root mean square normalisation: (offset + w) · x / √(mean(x²) + ε) (arXiv 1910.07467).</summary>
public sealed class RmsNorm : INormalization
{
    private readonly Tensor weight;
    private readonly double epsilon;
    private readonly double offset;

    /// <summary>Loads the weight [width].</summary>
    /// <param name="weights">The weights.</param>
    /// <param name="path">The module's path.</param>
    /// <param name="width">The width of the normalised axis.</param>
    /// <param name="epsilon">Guards against division by zero.</param>
    /// <param name="offset">Added to the stored weight: 1 for Gemma, which stores the difference from 1.</param>
    public RmsNorm(WeightLoader weights, string path, int width, double epsilon, double offset = 0)
    {
        this.offset = offset;
        weight = weights.Take(path + ".weight", width);
        this.epsilon = epsilon;
    }

    /// <inheritdoc/>
    public Tensor Forward(Tensor input) => Norm.RootMeanSquare(input, weight, offset, epsilon);
}
