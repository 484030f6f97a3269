using LowRank.Tensors;
using LowRank.Tensors.Kernels;
using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>a + b as a step of the graph, in the memory of a step.</summary>
internal sealed class TrainingSum : autograd.SingleTensorFunction<TrainingSum>
{
    /// <inheritdoc/>
    public override string Name => nameof(TrainingSum);

    /// <summary>a + b.</summary>
    /// <param name="a">Any shape that fits <see cref="Elementwise"/>.</param>
    /// <param name="b">As a.</param>
    /// <returns>As the inputs, in the caller's dispose scope.</returns>
    public static Tensor Apply(Tensor a, Tensor b)
    {
        // The function keeps a tensor of its output's size, which nobody reads: the scope frees it.
        using var scope = NewDisposeScope();
        return apply(a, b).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        BackwardErrors.Watch(ctx, vars);
        return ElementSum.Of((Tensor)vars[0], (Tensor)vars[1]);
    }

    /// <inheritdoc/>
    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output) => BackwardErrors.Guard(Gradients, ctx, grad_output);

    private static List<Tensor> Gradients(autograd.AutogradContext ctx, Tensor grad_output)
    {
        ReturnedGradients.Release();
        return ReturnedGradients.Keep(grad_output, grad_output.alias());
    }
}
