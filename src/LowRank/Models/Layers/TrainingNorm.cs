using LowRank.Tensors;
using LowRank.Tensors.Kernels;
using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>A normalisation with a frozen weight and bias as one step of the graph, which keeps the input alone.</summary>
internal sealed class TrainingNorm : autograd.SingleTensorFunction<TrainingNorm>
{
    private const string Kernel = "kernel";

    /// <inheritdoc/>
    public override string Name => nameof(TrainingNorm);

    /// <summary>The normalised rows.</summary>
    /// <param name="input">[…, width], which fits the kernel.</param>
    /// <param name="kernel">The norm.</param>
    /// <returns>As the input, in the caller's dispose scope.</returns>
    public static Tensor Apply(Tensor input, RowNorm kernel)
    {
        // The function keeps a tensor of its output's size, which nobody reads: the scope frees it.
        using var scope = NewDisposeScope();
        return apply(input, kernel).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var (input, kernel) = ((Tensor)vars[0], (RowNorm)vars[1]);
        BackwardErrors.Watch(ctx, vars);
        ctx.save_data(Kernel, kernel);
        ctx.save_for_backward([input]);
        return kernel.Value(input);
    }

    /// <inheritdoc/>
    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output) => BackwardErrors.Guard(Gradients, ctx, grad_output);

    private static List<Tensor> Gradients(autograd.AutogradContext ctx, Tensor grad_output)
    {
        ReturnedGradients.Release();
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        Tensor gradient = grad_output.contiguous();
        grad_output.Dispose(); // the function's own reference
        return ReturnedGradients.Keep(((RowNorm)ctx.get_data(Kernel)).Back(ctx.get_saved_variables()[0], gradient), null);
    }
}
