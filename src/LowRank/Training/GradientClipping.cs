using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Training;

/// <summary>The norm of all gradients together and its limit, as PyTorch's clip_grad_norm_ computes them.</summary>
public static class GradientClipping
{
    /// <summary>Measures the norm and scales the gradients down where it is above the limit.</summary>
    /// <param name="weights">Weights that carry gradients; those without are passed over.</param>
    /// <param name="limit">The largest norm; 0 or less leaves the gradients as they are.</param>
    /// <returns>The norm before scaling.</returns>
    public static double Apply(IEnumerable<Tensor> weights, double limit)
    {
        var gradients = new GradientNorm(weights);
        double norm = gradients.Measure();
        double factor = Factor(norm, limit);
        if (factor != 1) gradients.Scale(factor);
        return norm;
    }

    /// <summary>What gradients of a norm have to be multiplied with.</summary>
    internal static double Factor(double norm, double limit) =>
        limit > 0 && double.IsFinite(norm) ? Math.Min(1, limit / (norm + 1e-6)) : 1;
}
