using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models.Layers;

/// <summary>States through the blocks of a model, one after the other.</summary>
internal static class BlockPass
{
    /// <summary>Runs them. What a block makes on the way is freed when it is done, unless the graph needs it.</summary>
    /// <param name="blocks">The blocks, the lowest first.</param>
    /// <param name="hidden">[batch, sequence, hidden]</param>
    /// <param name="context">The pass.</param>
    /// <param name="checkpoints">Whether the graph keeps the blocks' inputs alone.</param>
    /// <returns>As <paramref name="hidden"/>, in the caller's dispose scope.</returns>
    public static Tensor Run(IReadOnlyList<IBlock> blocks, Tensor hidden, ForwardContext context, bool checkpoints = false)
    {
        Tensor states = hidden;
        bool keepsInputs = checkpoints && is_grad_enabled(), isLowest = true;
        foreach (IBlock block in blocks)
        {
            using var scope = NewDisposeScope();
            Tensor below = states;
            states = (keepsInputs ? BlockCheckpoint.Apply(block, below, context, isLowest) : block.Forward(below, context)).MoveToOuterDisposeScope();
            isLowest &= !states.requires_grad;
            if (!ReferenceEquals(below, hidden)) below.Dispose();
        }
        if (keepsInputs && !isLowest) context.OutliveScope();
        return states;
    }
}
