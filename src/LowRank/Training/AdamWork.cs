using LowRank.Tensors.Kernels;

namespace LowRank.Training;

/// <summary>A step of AdamW over weights in memory, in blocks.</summary>
/// <param name="blocks">The weights, cut.</param>
/// <param name="memory">Of each weight the addresses of it, its gradient and its moments; no gradient leaves it as it is.</param>
/// <param name="constants">Of each weight the step's numbers.</param>
internal sealed unsafe class AdamWork(WeightBlocks blocks, AdamMemory[] memory, AdamConstants[] constants)
{
    /// <summary>Does all blocks, on the threads that torch computes with.</summary>
    public void Run() => Workers.Run(blocks.Count, Do);

    private void Do(int block)
    {
        (int tensor, long start, int count) = blocks[block];
        AdamMemory at = memory[tensor];
        if (at.Gradient == 0) return;
        AdamKernel.Update((float*)at.Weight + start, (float*)at.Gradient + start, (float*)at.Mean + start, (float*)at.Square + start, count, constants[tensor]);
    }
}
