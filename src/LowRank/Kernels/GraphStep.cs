using static TorchSharp.torch;

namespace LowRank.Kernels;

/// <summary>An operation as one step of torch's graph, with its own backward pass. It keeps only what that pass
/// needs.</summary>
/// <remarks>An object represents one step of one pass: its fields hold what the step keeps besides tensors.</remarks>
internal abstract class GraphStep
{
    private const string Step = "step";

    [ThreadStatic]
    private static List<Tensor>? returned;

    private Tensor?[] kept = [];
    private bool[] needed = [];
    private bool isPlain; // the form that the graph is built in; torch may run the backward pass on another thread

    /// <summary>Computes the output and adds the step to the graph.</summary>
    /// <param name="inputs">The tensors that may need gradients; null for a missing one.</param>
    /// <returns>The output, in the caller's dispose scope.</returns>
    public Tensor Apply(params Tensor?[] inputs)
    {
        // TorchSharp keeps a second, unused tensor of the output's size: the scope frees it together with the
        // temporaries of Forward.
        using var scope = NewDisposeScope();
        isPlain = KernelForm.IsPlain;
        bool records = is_grad_enabled();
        needed = Array.ConvertAll(inputs, input => records && input is { requires_grad: true });
        return Function.apply([.. inputs, this]).MoveToOuterDisposeScope();
    }

    /// <summary>Computes the output.</summary>
    /// <param name="inputs">The inputs given to <see cref="Apply"/>.</param>
    protected abstract Tensor Forward(Tensor?[] inputs);

    /// <summary>Computes the gradients of the inputs.</summary>
    /// <param name="gradient">The output's gradient, contiguous.</param>
    /// <param name="kept">The tensors given to <see cref="Keep"/>.</param>
    /// <returns>A gradient for each input; null if the input needs none.</returns>
    protected abstract Tensor?[] Backward(Tensor gradient, IReadOnlyList<Tensor?> kept);

    /// <summary>Whether an input needs a gradient.</summary>
    protected bool Needs(int input) => needed[input];

    /// <summary>Keeps tensors for the backward pass; called in <see cref="Forward"/>.</summary>
    protected void Keep(params Tensor?[] tensors) => kept = tensors;

    // Torch takes its own references to gradients after the function has returned, without notifying anyone: they are
    // freed when the next step runs backward. Otherwise all of them would stay in memory until the dispose scope ends.
    private static void FreeReturned()
    {
        if (returned is null) return;
        foreach (Tensor gradient in returned) gradient.Dispose();
        returned.Clear();
    }

    private static List<Tensor> Return(IEnumerable<Tensor?> gradients)
    {
        returned ??= [];
        List<Tensor> all = [];
        foreach (Tensor? gradient in gradients)
        {
            if (gradient is not null) returned.Add(gradient.DetachFromDisposeScope());
            all.Add(gradient!);
        }
        return all;
    }

    private sealed class Function : autograd.SingleTensorFunction<Function>
    {
        public override string Name => nameof(GraphStep);

        public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
        {
            using var noGradient = no_grad();
            var step = (GraphStep)vars[^1];
            BackwardErrors.Watch(ctx, vars);
            ctx.save_data(Step, step);
            Tensor output = step.Forward(Array.ConvertAll(vars[..^1], input => input as Tensor));
            if (step.kept.Length > 0) ctx.save_for_backward([.. step.kept.Select(tensor => tensor!)]);
            step.kept = [];
            return output;
        }

        public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output) =>
            BackwardErrors.Guard(Gradients, ctx, grad_output);

        private static List<Tensor> Gradients(autograd.AutogradContext ctx, Tensor grad_output)
        {
            FreeReturned();
            using var scope = NewDisposeScope();
            using var noGradient = no_grad();
            Tensor gradient = grad_output.contiguous();
            grad_output.Dispose(); // the function's own reference
            var step = (GraphStep)ctx.get_data(Step);
            using IDisposable form = KernelForm.Use(step.isPlain);
            return Return([.. step.Backward(gradient, ctx.get_saved_variables()), null]); // null for the step itself
        }
    }
}
