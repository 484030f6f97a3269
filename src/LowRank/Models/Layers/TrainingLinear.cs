using LowRank.Kernels;
using LowRank.Kernels.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>A frozen linear layer with its pair as one step of the graph: y = Wx + b + s·B(A·dropout(x)).</summary>
/// <remarks>Kept for the backward pass are x, A·x and what dropout kept, and nothing of W. Backward, dx = dy·W +
/// s·(dy·B)·A, and W has no gradient. The pair's part is added to the base's output in place.</remarks>
internal sealed class TrainingLinear : autograd.SingleTensorFunction<TrainingLinear>
{
    private const string Arguments = "arguments";

    /// <inheritdoc/>
    public override string Name => nameof(TrainingLinear);

    /// <summary>The layer's output.</summary>
    /// <param name="projection">The layer, whose weight and bias are frozen.</param>
    /// <param name="bias">b, or null.</param>
    /// <param name="input">[…, in]</param>
    /// <param name="pair">What is added; null for nothing.</param>
    /// <param name="dropout">The generator for dropout while training; null in evaluation.</param>
    /// <param name="isRead">Whether someone reads the output's values; they are left over from what was there before
    /// otherwise.</param>
    /// <returns>[…, out], in the caller's dispose scope.</returns>
    public static Tensor Apply(
        Linear projection, Tensor? bias, Tensor input, LowRankPair? pair, Generator? dropout, bool isRead = true)
    {
        // The function keeps a tensor of its output's size, which nobody reads: the scope frees it.
        using var scope = NewDisposeScope();
        var arguments = new TrainingLinearArguments(
            projection, bias, pair?.Scale ?? 0, input.requires_grad, pair?.A.requires_grad
            ?? false, pair?.B.requires_grad ?? false, isRead);
        Tensor? kept = pair is { } changed ? Dropout.Kept(input, changed.Dropout, dropout) : null;
        return apply(input, pair?.A!, pair?.B!, kept!, arguments).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        using var scope = NewDisposeScope();
        Tensor input = (Tensor)vars[0];
        var (a, b, kept, arguments) =
            (vars[1] as Tensor, vars[2] as Tensor, vars[3] as Tensor, (TrainingLinearArguments)vars[4]);
        BackwardErrors.Watch(ctx, vars);
        ctx.save_data(Arguments, arguments);
        Linear projection = arguments.Linear;
        Tensor output = arguments.IsRead ? projection.Product(input, arguments.Bias)
            : StepMemory.Empty([.. input.shape[..^1], projection.OutputSize]);
        if (a is null || b is null) return output.MoveToOuterDisposeScope();
        Tensor reduced = matmul(kept is null ? input : input * kept, a.t()); // […, rank]
        if (arguments.IsRead)
            output.view(-1, output.shape[^1]).addmm_(
                reduced.view(-1, reduced.shape[^1]), b.t(), beta: 1, alpha: (float)arguments.Scale);
        ctx.save_for_backward([arguments.NeedsA ? input : null!, a, b, kept!, reduced.MoveToOuterDisposeScope()]);
        return output.MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output) =>
        BackwardErrors.Guard(Gradients, ctx, grad_output);

    private static List<Tensor> Gradients(autograd.AutogradContext ctx, Tensor grad_output)
    {
        ReturnedGradients.Release();
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        var arguments = (TrainingLinearArguments)ctx.get_data(Arguments);
        Linear projection = arguments.Linear;
        long[] shape = [.. grad_output.shape[..^1], projection.InputSize];
        Tensor gradient = grad_output.reshape(-1, projection.OutputSize).contiguous(); // [rows, out]
        grad_output.Dispose(); // the function's own reference
        Tensor? back = arguments.NeedsInput ? projection.BackProduct(gradient) : null; // [rows, in]
        if (ctx.get_saved_variables() is not [var input, { } a, { } b, var kept, { } reduced])
            return ReturnedGradients.Keep(back?.view(shape), null, null, null, null);
        Tensor reducedGradient = gradient.matmul(b).mul_(arguments.Scale); // [rows, rank]
        Tensor? ofB = arguments.NeedsB
            ? gradient.t().matmul(reduced.view(-1, reduced.shape[^1])).mul_(arguments.Scale) : null;
        Tensor? mask = kept?.reshape(-1, projection.InputSize), ofA = null;
        if (input is not null)
        {
            Tensor rows = input.reshape(-1, projection.InputSize);
            ofA = reducedGradient.t().matmul(mask is null ? rows : rows * mask);
        }
        if (mask is null) back?.addmm_(reducedGradient, a, beta: 1, alpha: 1);
        else back?.addcmul_(reducedGradient.matmul(a), mask, 1);
        return ReturnedGradients.Keep(back?.view(shape), ofA, ofB, null, null);
    }
}

/// <summary>What <see cref="TrainingLinear"/> remembers besides tensors.</summary>
/// <param name="Linear">The layer.</param>
/// <param name="Bias">What is added, [out]; null for nothing.</param>
/// <param name="Scale">The pair's factor.</param>
/// <param name="NeedsInput">Whether the input takes a gradient.</param>
/// <param name="NeedsA">Whether A does.</param>
/// <param name="NeedsB">Whether B does.</param>
/// <param name="IsRead">Whether someone reads the output's values.</param>
internal sealed record TrainingLinearArguments(
    Linear Linear, Tensor? Bias, double Scale, bool NeedsInput, bool NeedsA, bool NeedsB, bool IsRead);

/// <summary>Frees the gradients that a function of ours gave to torch's backward pass.</summary>
/// <remarks>Torch takes its own references after the function has returned, and nobody is told: without this, every
/// gradient of a pass would stay in memory until the step's dispose scope ends.</remarks>
internal static class ReturnedGradients
{
    [ThreadStatic]
    private static List<Tensor>? kept;

    /// <summary>Frees the gradients of the function that was called before, which torch has taken by now.</summary>
    public static void Release()
    {
        if (kept is null) return;
        foreach (Tensor gradient in kept) gradient.Dispose();
        kept.Clear();
    }

    /// <summary>Takes gradients out of the dispose scope until the next <see cref="Release"/>.</summary>
    /// <param name="gradients">One for each of the function's arguments; null for none.</param>
    /// <returns>The same.</returns>
    public static List<Tensor> Keep(params Tensor?[] gradients)
    {
        kept ??= [];
        foreach (Tensor gradient in gradients.OfType<Tensor>())
        {
            gradient.DetachFromDisposeScope();
            kept.Add(gradient);
        }
        return [.. gradients.Select(gradient => gradient!)];
    }
}
