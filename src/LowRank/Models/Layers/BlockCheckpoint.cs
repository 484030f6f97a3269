using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>A block of which the graph keeps the input alone: the backward pass computes the block again (arXiv 1604.06174).</summary>
/// <remarks>Both passes go the same way through the same kernels, and draw the same dropout: gradients are those of a pass that keeps
/// everything, to the last bit. The block's trained weights take theirs from a backward pass inside the backward pass.</remarks>
internal sealed class BlockCheckpoint : autograd.SingleTensorFunction<BlockCheckpoint>
{
    private const string Arguments = "arguments";

    /// <inheritdoc/>
    public override string Name => nameof(BlockCheckpoint);

    /// <summary>The block's output.</summary>
    /// <param name="block">The block.</param>
    /// <param name="input">[batch, sequence, hidden], taking a gradient: a function without such an input has no backward pass.</param>
    /// <param name="context">The pass, which must outlive the backward pass: <see cref="ForwardContext.OutliveScope"/>.</param>
    /// <param name="isLowest">Whether it is the last of its pass to go backward.</param>
    /// <returns>As <paramref name="input"/>, in the caller's dispose scope.</returns>
    public static Tensor Apply(IBlock block, Tensor input, ForwardContext context, bool isLowest)
    {
        // The function keeps a tensor of its output's size, which nobody reads: the scope frees it.
        using var scope = NewDisposeScope();
        Tensor? dropout = context.Dropout?.get_state().DetachFromDisposeScope();
        return apply(input, new BlockCheckpointArguments(block, context, dropout, isLowest)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        using var scope = NewDisposeScope();
        var (input, arguments) = ((Tensor)vars[0], (BlockCheckpointArguments)vars[1]);
        ctx.save_data(Arguments, arguments);
        ctx.save_for_backward([input]);
        // With a graph that nobody keeps, for without one some layers compute by other kernels.
        using var gradient = enable_grad();
        return arguments.Block.Forward(input.detach().requires_grad_(), arguments.Context).detach().MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        ReturnedGradients.Release();
        using var scope = NewDisposeScope();
        var arguments = (BlockCheckpointArguments)ctx.get_data(Arguments);
        Tensor input = ctx.get_saved_variables()[0].detach().requires_grad_();
        using (enable_grad())
        {
            Tensor output = Again(arguments, input);
            autograd.backward([output], [grad_output]);
        }
        grad_output.Dispose(); // the function's own reference
        if (arguments.IsLowest) arguments.Context.Dispose();
        return ReturnedGradients.Keep(input.grad, null);
    }

    private static Tensor Again(BlockCheckpointArguments arguments, Tensor input)
    {
        if (arguments.Context.Dropout is not { } generator) return arguments.Block.Forward(input, arguments.Context);
        using Tensor now = generator.get_state();
        generator.set_state(arguments.Dropout!);
        arguments.Dropout!.Dispose();
        Tensor output = arguments.Block.Forward(input, arguments.Context);
        generator.set_state(now);
        return output;
    }
}
