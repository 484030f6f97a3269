using LowRank.Tensors.Kernels;
using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>What a part of a block computes, added to the states that pass it by (arXiv 1512.03385, section 3.1).</summary>
internal static class Residual
{
    /// <summary>states + change.</summary>
    /// <param name="states">[…, width]</param>
    /// <param name="change">As the states.</param>
    /// <returns>In the caller's dispose scope.</returns>
    public static Tensor Add(Tensor states, Tensor change)
    {
        if (!Elementwise.Fits(states) || !Elementwise.Fits(change) || !states.shape.SequenceEqual(change.shape)) return states + change;
        return is_grad_enabled() && (states.requires_grad || change.requires_grad) ? TrainingSum.Apply(states, change) : ElementSum.Of(states, change);
    }
}
