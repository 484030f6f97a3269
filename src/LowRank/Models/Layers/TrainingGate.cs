using LowRank.Tensors;
using LowRank.Tensors.Kernels;
using LowRank.Tensors.Native;
using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>f(g)·u as one step of the graph, which keeps g and u alone and computes f(g) again for the backward pass.</summary>
internal sealed class TrainingGate : autograd.SingleTensorFunction<TrainingGate>
{
    private const string Kernel = "kernel";

    /// <inheritdoc/>
    public override string Name => nameof(TrainingGate);

    /// <summary>f(g)·u.</summary>
    /// <param name="gate">g, […, width]; with u behind it, […, 2 · width], where <paramref name="up"/> is null.</param>
    /// <param name="up">u, […, width].</param>
    /// <param name="kernel">f.</param>
    /// <returns>[…, width], in the caller's dispose scope.</returns>
    public static Tensor Apply(Tensor gate, Tensor? up, IActivationKernel kernel)
    {
        // The function keeps a tensor of its output's size, which nobody reads: the scope frees it.
        using var scope = NewDisposeScope();
        return apply(gate, up!, kernel).MoveToOuterDisposeScope();
    }

    /// <summary>The halves of the last axis, as views.</summary>
    public static (Tensor First, Tensor Second) Halves(Tensor both)
    {
        long half = both.shape[^1] / 2;
        return (both.narrow(-1, 0, half), both.narrow(-1, half, half));
    }

    /// <inheritdoc/>
    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        using var scope = NewDisposeScope();
        var (first, second, kernel) = ((Tensor)vars[0], vars[1] as Tensor, (IActivationKernel)vars[2]);
        BackwardErrors.Watch(ctx, vars);
        ctx.save_data(Kernel, kernel);
        ctx.save_for_backward([first, second!]);
        (Tensor gate, Tensor up) = second is null ? Halves(first) : (first, second);
        return kernel.Gated(gate, up).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output) => BackwardErrors.Guard(Gradients, ctx, grad_output);

    private static List<Tensor> Gradients(autograd.AutogradContext ctx, Tensor grad_output)
    {
        ReturnedGradients.Release();
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        var kernel = (IActivationKernel)ctx.get_data(Kernel);
        Tensor gradient = grad_output.contiguous();
        grad_output.Dispose(); // the function's own reference
        List<Tensor> saved = ctx.get_saved_variables();
        Tensor ofFirst = StepMemory.Empty(saved[0].shape);
        if (saved[1] is { } second)
        {
            Tensor ofSecond = StepMemory.Empty(second.shape);
            kernel.GatedBack(saved[0], second, gradient, ofFirst, ofSecond);
            return ReturnedGradients.Keep(ofFirst, ofSecond, null);
        }
        (Tensor gate, Tensor up) = Halves(saved[0]);
        (Tensor ofGate, Tensor ofUp) = Halves(ofFirst);
        kernel.GatedBack(gate, up, gradient, ofGate, ofUp);
        return ReturnedGradients.Keep(ofFirst, null, null);
    }
}
