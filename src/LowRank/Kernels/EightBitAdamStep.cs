using System.Runtime.InteropServices;
using LowRank.Kernels.Native;
using static TorchSharp.torch;

namespace LowRank.Kernels;

/// <summary>Steps of AdamW whose moments are kept in a byte per number (8-bit optimizers, arXiv 2110.02861).</summary>
/// <remarks>A step expands a block of both moments, takes the step of <see cref="AdamStep"/> with it, and stores it
/// again. The weight sees the moments before they are rounded, as in bitsandbytes. On the processor one pass over the
/// memory does this block by block, so nothing is expanded but two blocks per thread.</remarks>
/// <param name="weights">The weights.</param>
/// <param name="means">The mean gradients.</param>
/// <param name="squares">The mean squared gradients.</param>
internal sealed unsafe class EightBitAdamStep(
    IReadOnlyList<Tensor> weights, BlockwiseMoment means, BlockwiseMoment squares)
{
    private readonly WeightBlocks blocks = new(weights);
    private readonly EightBitMemory[] memory = new EightBitMemory[weights.Count];
    private readonly bool isFlat = weights.All(NativeTensor.IsPlain);

    /// <summary>Takes a step with the weights' gradients; a weight without a gradient is not changed.</summary>
    /// <param name="constants">The step's constants for each weight.</param>
    public void Take(AdamConstants[] constants)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        if (!isFlat || KernelForm.IsPlain)
        {
            for (int i = 0; i < weights.Count; i++)
                if (weights[i].grad is { } gradient) Plain(i, gradient, constants[i]);
            return;
        }
        for (int i = 0; i < memory.Length; i++)
            memory[i] = new EightBitMemory(
                NativeTensor.Address(weights[i]), NativeTensor.GradientAddress(weights[i]),
                MomentMemory.Of(means.Parts[i]), MomentMemory.Of(squares.Parts[i]));
        Workers.Run(blocks.Count, number => Fast(number, constants));
    }

    // With torch's operations, on any device.
    private void Plain(int index, Tensor gradient, in AdamConstants constants)
    {
        using var scope = NewDisposeScope();
        Tensor weight = weights[index];
        (Tensor allMeans, Tensor mean) = Expand(means, index, weight.shape);
        (Tensor allSquares, Tensor square) = Expand(squares, index, weight.shape);
        AdamStep.Plain(weight, gradient, mean, square, constants);
        means.Store(means.Parts[index].First, allMeans);
        squares.Store(squares.Parts[index].First, allSquares);
    }

    // All numbers of the weight's blocks, and those of the weight as a view of them.
    private static (Tensor All, Tensor Own) Expand(BlockwiseMoment moment, int index, long[] shape)
    {
        MomentPart part = moment.Parts[index];
        Tensor all = moment.Expand(part.First, part.Padded);
        return (all, all.narrow(0, 0, part.Codes.numel()).view(shape));
    }

    private void Fast(int number, AdamConstants[] constants)
    {
        (int tensor, long start, int count) = blocks[number];
        EightBitMemory at = memory[tensor];
        if (at.Gradient == 0) return;
        float* mean = stackalloc float[BlockwiseMoment.Block], square = stackalloc float[BlockwiseMoment.Block];
        for (long i = start; i < start + count; i += BlockwiseMoment.Block)
        {
            int size = (int)Math.Min(BlockwiseMoment.Block, start + count - i);
            Expand(at.Mean, i, size, means.Map, mean);
            Expand(at.Square, i, size, squares.Map, square);
            AdamKernel.Update((float*)at.Weight + i, (float*)at.Gradient + i, mean, square, size, constants[tensor]);
            Store(at.Mean, i, size, means.Map, mean);
            Store(at.Square, i, size, squares.Map, square);
        }
    }

    private static void Expand(MomentMemory from, long start, int count, DynamicMap map, float* to)
    {
        byte* codes = (byte*)from.Codes + start;
        float scale = ((float*)from.Scales)[start / BlockwiseMoment.Block];
        for (int i = 0; i < count; i++) to[i] = map.Values[codes[i]] * scale;
    }

    private static void Store(MomentMemory to, long start, int count, DynamicMap map, float* numbers)
    {
        byte* codes = (byte*)to.Codes + start;
        float scale = 0;
        for (int i = 0; i < count; i++) scale = MathF.Max(scale, MathF.Abs(numbers[i]));
        ((float*)to.Scales)[start / BlockwiseMoment.Block] = scale;
        for (int i = 0; i < count; i++) codes[i] = scale == 0 ? map.Zero : map.Code(numbers[i] / scale);
    }

    [StructLayout(LayoutKind.Auto)]
    private readonly record struct EightBitMemory(nint Weight, nint Gradient, MomentMemory Mean, MomentMemory Square);

    [StructLayout(LayoutKind.Auto)]
    private readonly record struct MomentMemory(nint Codes, nint Scales)
    {
        public static MomentMemory Of(MomentPart part) =>
            new(NativeTensor.Address(part.Codes), NativeTensor.Address(part.Scales));
    }
}
