using LowRank.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Quantization;

/// <summary>x·Wᵀ of a packed W, differentiable in x: the backward pass expands W again (dX = dY·W), so that the graph keeps no weight.</summary>
internal sealed class PackedLinear : autograd.SingleTensorFunction<PackedLinear>
{
    private const string Weight = "weight";

    // Torch takes its own reference after the function has returned, and on other devices no dispose scope frees this one.
    [ThreadStatic]
    private static Tensor? returned;

    public override string Name => nameof(PackedLinear);

    /// <param name="ctx">Remembers the packed weight.</param>
    /// <param name="vars">The input, [n, in], and the <see cref="PackedWeight"/>.</param>
    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var weight = (PackedWeight)vars[1];
        BackwardErrors.Watch(ctx, vars);
        ctx.save_data(Weight, weight);
        return weight.Product((Tensor)vars[0]);
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output) => BackwardErrors.Guard(Gradients, ctx, grad_output);

    private static List<Tensor> Gradients(autograd.AutogradContext ctx, Tensor grad_output)
    {
        var weight = (PackedWeight)ctx.get_data(Weight);
        returned?.Dispose();
        returned = weight.BackProduct(grad_output).DetachFromDisposeScope();
        grad_output.Dispose(); // the function's own reference
        return [returned, null!]; // the weight is frozen
    }
}
