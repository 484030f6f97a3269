using LowRank.Tensors;
using LowRank.Tensors.Kernels;
using LowRank.Tensors.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>Attention by <see cref="TiledAttention"/> as one step of the graph.</summary>
/// <remarks>Kept for the backward pass are queries, keys, values, the output, and a number for each query and head. Where the three are
/// parts of one tensor, their gradients are written into one.</remarks>
internal sealed class TrainingAttention : autograd.SingleTensorFunction<TrainingAttention>
{
    private const string Arguments = "arguments";

    /// <inheritdoc/>
    public override string Name => nameof(TrainingAttention);

    /// <summary>Attends.</summary>
    /// <param name="query">[batch, heads, queries, dimension], or the tensor that <see cref="TrainingAttentionArguments.Split"/> takes apart.</param>
    /// <param name="key">[batch, key-value heads, keys, dimension]; null with the query.</param>
    /// <param name="value">as <paramref name="key"/></param>
    /// <param name="arguments">How.</param>
    /// <returns>[batch, queries, heads · dimension], in the caller's dispose scope.</returns>
    public static Tensor Apply(Tensor query, Tensor? key, Tensor? value, TrainingAttentionArguments arguments)
    {
        using var scope = NewDisposeScope();
        if (!is_grad_enabled()) return Compute(Parts(query, key, value, arguments), null, arguments).MoveToOuterDisposeScope();
        // The function keeps a tensor of its output's size, which nobody reads: the scope frees it.
        return apply(query, key!, value!, arguments).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        (Tensor first, Tensor? key, Tensor? value, var arguments) = ((Tensor)vars[0], vars[1] as Tensor, vars[2] as Tensor, (TrainingAttentionArguments)vars[3]);
        BackwardErrors.Watch(ctx, vars);
        ctx.save_data(Arguments, arguments);
        var parts = Parts(first, key, value, arguments);
        long[] shape = parts.Query.shape;
        Tensor logSums = empty(shape[0], shape[1], shape[2]), output = Compute(parts, logSums, arguments);
        // The output would keep the graph, and the graph the output: another tensor over the same memory does not.
        ctx.save_for_backward([first, key!, value!, output.detach().MoveToOuterDisposeScope(), logSums.MoveToOuterDisposeScope()]);
        return output.MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output) => BackwardErrors.Guard(Gradients, ctx, grad_output);

    private static List<Tensor> Gradients(autograd.AutogradContext ctx, Tensor grad_output)
    {
        ReturnedGradients.Release();
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        var arguments = (TrainingAttentionArguments)ctx.get_data(Arguments);
        if (ctx.get_saved_variables() is not [{ } first, var key, var value, { } output, { } logSums])
            throw new InvalidOperationException("The graph has been freed.");
        Tensor gradient = grad_output.contiguous();
        grad_output.Dispose(); // the function's own reference
        var parts = Parts(first, key, value, arguments);
        Tensor ofFirst;
        (Tensor Query, Tensor Key, Tensor Value) gradients;
        if (arguments.Split is { } split)
        {
            ofFirst = StepMemory.Empty(first.shape);
            gradients = split(ofFirst);
        }
        else
        {
            gradients = (TokenByToken(parts.Query), TokenByToken(parts.Key), TokenByToken(parts.Value));
            ofFirst = gradients.Query;
        }
        ComputeGradients(parts, output, gradient, logSums, gradients, arguments);
        return arguments.Split is null ? ReturnedGradients.Keep(ofFirst, gradients.Key, gradients.Value, null) : ReturnedGradients.Keep(ofFirst, null, null, null);
    }

    private static (Tensor Query, Tensor Key, Tensor Value) Parts(Tensor first, Tensor? key, Tensor? value, TrainingAttentionArguments arguments) =>
        arguments.Split is { } split ? split(first) : (first, key!, value!);

    // Room for gradients of [batch, heads, tokens, dimension], as projections have made the heads.
    private static Tensor TokenByToken(Tensor heads)
    {
        long[] s = heads.shape;
        return StepMemory.Empty(s[0], s[2], s[1], s[3]).transpose(1, 2);
    }

    private static unsafe Tensor Compute((Tensor Query, Tensor Key, Tensor Value) parts, Tensor? logSums, TrainingAttentionArguments arguments)
    {
        long[] s = parts.Query.shape;
        Tensor output = StepMemory.Empty(s[0], s[2], s[1] * s[3]);
        TiledAttention attention = Task(parts, output, logSums, arguments);
        attention.Forward(arguments.Texts);
        return output;
    }

    private static void ComputeGradients((Tensor Query, Tensor Key, Tensor Value) parts, Tensor output, Tensor gradient, Tensor logSums,
        (Tensor Query, Tensor Key, Tensor Value) gradients, TrainingAttentionArguments arguments)
    {
        TiledAttention attention = Task(parts, output, logSums, arguments);
        attention.OutputGradient = AttentionHeads.OfMixed(gradient, attention.Dimension);
        attention.QueryGradient = AttentionHeads.Of(gradients.Query);
        attention.KeyGradient = AttentionHeads.Of(gradients.Key);
        attention.ValueGradient = AttentionHeads.Of(gradients.Value);
        attention.Backward(arguments.Texts);
    }

    private static unsafe TiledAttention Task((Tensor Query, Tensor Key, Tensor Value) parts, Tensor output, Tensor? logSums, TrainingAttentionArguments arguments)
    {
        long[] s = parts.Query.shape;
        return new TiledAttention
        {
            Query = AttentionHeads.Of(parts.Query),
            Key = AttentionHeads.Of(parts.Key),
            Value = AttentionHeads.Of(parts.Value),
            Output = AttentionHeads.OfMixed(output, (int)s[3]),
            LogSums = logSums is null ? null : (float*)NativeTensor.Address(logSums),
            Heads = (int)s[1],
            Groups = (int)(s[1] / parts.Key.shape[1]),
            Dimension = (int)s[3],
            Queries = (int)s[2],
            Scale = (float)arguments.Scale,
            Back = arguments.Back,
            Ahead = arguments.Ahead,
        };
    }
}
