using LowRank.Kernels;
using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>Gradient checkpointing: the graph keeps only a block's input, and the backward pass recomputes the block
/// (arXiv 1604.06174).</summary>
/// <remarks>Both passes use the same kernels and draw the same dropout, so the gradients equal those of a pass that
/// keeps everything, to the last bit. A nested backward pass computes the gradients of the block's trained
/// weights.</remarks>
internal sealed class BlockCheckpoint : GraphStep
{
    private readonly IBlock block;
    private readonly ForwardContext context;
    private readonly Tensor? dropout; // the state of the pass's generator before the block
    private readonly bool isLowest;
    private readonly Recomputation runs = new();
    private Tensor? output;           // until the graph has it

    private BlockCheckpoint(IBlock block, ForwardContext context, bool isLowest)
    {
        (this.block, this.context, this.isLowest) = (block, context, isLowest);
        dropout = context.Dropout?.get_state();
    }

    /// <summary>The block's output.</summary>
    /// <param name="block">The block.</param>
    /// <param name="input">[batch, sequence, hidden]</param>
    /// <param name="context">The pass; it must outlive the backward pass:
    /// <see cref="ForwardContext.OutliveScope"/>.</param>
    /// <param name="isLowest">Whether this is the lowest block of the pass that has a backward pass.</param>
    /// <returns>Same shape as <paramref name="input"/>, in the caller's dispose scope. It needs no gradient if nothing
    /// is trained in the block or below.</returns>
    public static Tensor Apply(IBlock block, Tensor input, ForwardContext context, bool isLowest)
    {
        using var scope = NewDisposeScope(); // frees the block's graph
        var step = new BlockCheckpoint(block, context, isLowest);
        // With a graph, which is discarded: some layers use other kernels without one.
        Tensor output = step.runs.First(() => block.Forward(Separate(input, input.requires_grad), context));
        if (!output.requires_grad) return output.MoveToOuterDisposeScope();
        // A function without an argument that needs a gradient has no backward pass, and the lowest block's input needs
        // none.
        Tensor? anchor = input.requires_grad ? null : zeros(1, device: input.device, requires_grad: true);
        step.output = output.detach();
        step.dropout?.DetachFromDisposeScope();
        return step.Apply(input, anchor).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    protected override Tensor Forward(Tensor?[] inputs)
    {
        Keep(inputs[0]);
        Tensor known = output!;
        output = null;
        return known;
    }

    /// <inheritdoc/>
    protected override Tensor?[] Backward(Tensor gradient, IReadOnlyList<Tensor?> kept)
    {
        Tensor input = Separate(kept[0]!, Needs(0));
        using (enable_grad())
        {
            Tensor again = Again(input);
            BackwardErrors.Run(() => autograd.backward([again], [gradient]));
        }
        if (isLowest) context.Dispose();
        return [Needs(0) ? input.grad : null, null];
    }

    private static Tensor Separate(Tensor input, bool needsGradient) => needsGradient ? input.detach().requires_grad_()
        : input.detach();

    private Tensor Again(Tensor input)
    {
        using Tensor? now = context.Dropout?.get_state();
        if (dropout is not null) context.Dropout!.set_state(dropout);
        dropout?.Dispose();
        try
        {
            return runs.Again(() => block.Forward(input, context));
        }
        finally
        {
            if (now is not null) context.Dropout!.set_state(now);
        }
    }
}

/// <summary>Runs states through the blocks of a model in sequence.</summary>
internal static class BlockPass
{
    /// <summary>Runs the blocks. Frees a block's intermediate tensors after it unless the graph needs them.</summary>
    /// <param name="blocks">The blocks, lowest first.</param>
    /// <param name="hidden">[batch, sequence, hidden]</param>
    /// <param name="context">The pass.</param>
    /// <param name="checkpoints">Whether the graph keeps only the blocks' inputs.</param>
    /// <returns>Same shape as <paramref name="hidden"/>, in the caller's dispose scope.</returns>
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
