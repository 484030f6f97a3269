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
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        Tensor[] gradients = [.. weights.Select(w => w.grad).OfType<Tensor>()];
        if (gradients.Length == 0) return 0;
        Tensor total = stack([.. gradients.Select(g => g.norm())]).norm();
        double norm = total.to(ScalarType.Float64).item<double>();
        if (limit > 0 && double.IsFinite(norm) && limit / (norm + 1e-6) is < 1 and double factor)
            foreach (Tensor gradient in gradients) gradient.mul_(factor);
        return norm;
    }
}
