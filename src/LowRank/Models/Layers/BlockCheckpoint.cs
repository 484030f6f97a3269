using LowRank.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>A block of which the graph keeps the input alone: the backward pass computes the block again (arXiv
/// 1604.06174).</summary>
/// <remarks>Both passes go the same way through the same kernels, and draw the same dropout: gradients are those of a
/// pass that keeps everything, to the last bit. The block's trained weights take theirs from a backward pass inside the
/// backward pass.</remarks>
internal sealed class BlockCheckpoint : autograd.SingleTensorFunction<BlockCheckpoint>
{
    private const string Arguments = "arguments";

    /// <inheritdoc/>
    public override string Name => nameof(BlockCheckpoint);

    /// <summary>The block's output.</summary>
    /// <param name="block">The block.</param>
    /// <param name="input">[batch, sequence, hidden]</param>
    /// <param name="context">The pass, which must outlive the backward pass:
    /// <see cref="ForwardContext.OutliveScope"/>.</param>
    /// <param name="isLowest">Whether no block of this pass that goes backward is below.</param>
    /// <returns>As <paramref name="input"/>, in the caller's dispose scope. It takes no gradient where nothing is
    /// trained in the block or below.</returns>
    public static Tensor Apply(IBlock block, Tensor input, ForwardContext context, bool isLowest)
    {
        // The function keeps a tensor of its output's size, which nobody reads: the scope frees it, and the block's
        // graph.
        using var scope = NewDisposeScope();
        Tensor? dropout = context.Dropout?.get_state();
        // With a graph that nobody keeps, for without one some layers compute by other kernels.
        Tensor output = block.Forward(Separate(input, input.requires_grad), context);
        if (!output.requires_grad) return output.MoveToOuterDisposeScope();
        // Without an argument that takes a gradient a function has no backward pass, and the lowest block's input takes
        // none.
        Tensor? anchor = input.requires_grad ? null : zeros(1, device: input.device, requires_grad: true);
        return apply(input, anchor!,
            new BlockCheckpointArguments(
                block, context, output.detach(), dropout?.DetachFromDisposeScope(), input.requires_grad, isLowest))
                .MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var (input, arguments) = ((Tensor)vars[0], (BlockCheckpointArguments)vars[2]);
        BackwardErrors.Watch(ctx, vars);
        ctx.save_data(Arguments, arguments);
        ctx.save_for_backward([input]);
        return arguments.Output;
    }

    /// <inheritdoc/>
    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output) =>
        BackwardErrors.Guard(Gradients, ctx, grad_output);

    private static List<Tensor> Gradients(autograd.AutogradContext ctx, Tensor grad_output)
    {
        ReturnedGradients.Release();
        using var scope = NewDisposeScope();
        var arguments = (BlockCheckpointArguments)ctx.get_data(Arguments);
        Tensor input = Separate(ctx.get_saved_variables()[0], arguments.NeedsInput);
        using (enable_grad())
        {
            Tensor output = Again(arguments, input);
            BackwardErrors.Run(() => autograd.backward([output], [grad_output]));
        }
        grad_output.Dispose(); // the function's own reference
        if (arguments.IsLowest) arguments.Context.Dispose();
        return ReturnedGradients.Keep(arguments.NeedsInput ? input.grad : null, null, null);
    }

    private static Tensor Separate(Tensor input, bool needsGradient) => needsGradient ? input.detach().requires_grad_()
        : input.detach();

    // Its values are known, and nobody reads them: the block's last product may be left out.
    private static Tensor Again(BlockCheckpointArguments arguments, Tensor input)
    {
        ForwardContext context = arguments.Context;
        using Tensor? now = context.Dropout?.get_state();
        if (arguments.Dropout is { } then) context.Dropout!.set_state(then);
        arguments.Dropout?.Dispose();
        context.IsOutputRead = false;
        try
        {
            return arguments.Block.Forward(input, context);
        }
        finally
        {
            context.IsOutputRead = true;
            if (now is not null) context.Dropout!.set_state(now);
        }
    }
}

/// <summary>What <see cref="BlockCheckpoint"/> remembers besides its input.</summary>
/// <param name="Block">The block.</param>
/// <param name="Context">The pass.</param>
/// <param name="Output">The block's output, until the function has returned it.</param>
/// <param name="Dropout">The state of the pass's generator before the block; null in evaluation.</param>
/// <param name="NeedsInput">Whether the input takes a gradient.</param>
/// <param name="IsLowest">Whether it is the last of its pass to go backward.</param>
internal sealed record BlockCheckpointArguments(
    IBlock Block, ForwardContext Context, Tensor Output, Tensor? Dropout, bool NeedsInput, bool IsLowest);

/// <summary>States through the blocks of a model, one after the other.</summary>
internal static class BlockPass
{
    /// <summary>Runs them. What a block makes on the way is freed when it is done, unless the graph needs it.</summary>
    /// <param name="blocks">The blocks, the lowest first.</param>
    /// <param name="hidden">[batch, sequence, hidden]</param>
    /// <param name="context">The pass.</param>
    /// <param name="checkpoints">Whether the graph keeps the blocks' inputs alone.</param>
    /// <returns>As <paramref name="hidden"/>, in the caller's dispose scope.</returns>
    public static Tensor Run(
        IReadOnlyList<IBlock> blocks, Tensor hidden, ForwardContext context, bool checkpoints = false)
    {
        Tensor states = hidden;
        bool keepsInputs = checkpoints && is_grad_enabled(), isLowest = true;
        foreach (IBlock block in blocks)
        {
            using var scope = NewDisposeScope();
            Tensor below = states;
            states = (keepsInputs ? BlockCheckpoint.Apply(block, below, context, isLowest)
                : block.Forward(below, context)).MoveToOuterDisposeScope();
            isLowest &= !states.requires_grad;
            if (!ReferenceEquals(below, hidden)) below.Dispose();
        }
        if (keepsInputs && !isLowest) context.OutliveScope();
        return states;
    }
}
