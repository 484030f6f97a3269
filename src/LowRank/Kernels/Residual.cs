using System.Runtime.CompilerServices;
using LowRank.Kernels.Native;
using static TorchSharp.torch;

namespace LowRank.Kernels;

/// <summary>The sum of the states that bypass a part of a block and the part's output (arXiv 1512.03385, section
/// 3.1).</summary>
internal static class Residual
{
    /// <summary>states + change.</summary>
    /// <param name="states">[…, width]</param>
    /// <param name="change">Same shape as the states.</param>
    /// <returns>In the caller's dispose scope.</returns>
    public static Tensor Add(Tensor states, Tensor change)
    {
        bool isFast = !KernelForm.IsPlain && Elementwise.Fits(states) && Elementwise.Fits(change)
            && states.shape.SequenceEqual(change.shape);
        Tensor sum = !isFast ? states.Plus(change)
            : is_grad_enabled() && (states.requires_grad || change.requires_grad)
            ? new ResidualStep().Apply(states, change) : ElementSum.Of(states, change);
        return Recomputation.Passes(change, sum);
    }
}

/// <summary>a + b as a step of the graph, in the step's memory.</summary>
internal sealed class ResidualStep : GraphStep
{
    /// <inheritdoc/>
    protected override Tensor Forward(Tensor?[] inputs) => ElementSum.Of(inputs[0]!, inputs[1]!);

    /// <inheritdoc/>
    protected override Tensor?[] Backward(Tensor gradient, IReadOnlyList<Tensor?> kept) => [gradient, gradient.alias()];
}

/// <summary>The sum of two tensors with the same shape that satisfy <see cref="Elementwise"/>, without a
/// graph.</summary>
internal readonly unsafe struct ElementSum : IElementwise
{
    /// <summary>a + b, contiguous, in the caller's dispose scope.</summary>
    public static Tensor Of(Tensor a, Tensor b)
    {
        Tensor sum = StepMemory.Empty(a.shape);
        Elementwise.Run<ElementSum>(a, b, null, sum, null);
        return sum;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IElementwise.At<TWide, TVector>(in ElementRow from, long i) =>
        TWide.Store(from.First + i, TWide.Add(TWide.Load(from.A + i), TWide.Load(from.B + i)));
}
