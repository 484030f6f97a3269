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
    /// <param name="checkpoints">Whether the graph keeps the blocks' inputs alone. Blocks below the lowest trained weight have no
    /// graph; the one that has it keeps what it makes, for its input takes no gradient.</param>
    /// <returns>As <paramref name="hidden"/>, in the caller's dispose scope.</returns>
    public static Tensor Run(IReadOnlyList<IBlock> blocks, Tensor hidden, ForwardContext context, bool checkpoints = false)
    {
        Tensor states = hidden;
        bool isFirst = true;
        foreach (IBlock block in blocks)
        {
            using var scope = NewDisposeScope();
            Tensor below = states;
            if (checkpoints && is_grad_enabled() && below.requires_grad)
            {
                states = BlockCheckpoint.Apply(block, below, context, isFirst).MoveToOuterDisposeScope();
                isFirst = false;
            }
            else
            {
                states = block.Forward(below, context).MoveToOuterDisposeScope();
            }
            if (!ReferenceEquals(below, hidden)) below.Dispose();
        }
        if (!isFirst) context.OutliveScope();
        return states;
    }
}
