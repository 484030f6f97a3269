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
    /// <returns>As <paramref name="hidden"/>, in the caller's dispose scope.</returns>
    public static Tensor Run(IReadOnlyList<IBlock> blocks, Tensor hidden, ForwardContext context)
    {
        Tensor states = hidden;
        foreach (IBlock block in blocks)
        {
            using var scope = NewDisposeScope();
            Tensor below = states;
            states = block.Forward(below, context).MoveToOuterDisposeScope();
            if (!ReferenceEquals(below, hidden)) below.Dispose();
        }
        return states;
    }
}
