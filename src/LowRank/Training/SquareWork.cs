using System.Runtime.Intrinsics;
using LowRank.Tensors.Kernels;

namespace LowRank.Training;

/// <summary>The sums of squares of blocks.</summary>
/// <param name="blocks">The tensors, cut.</param>
/// <param name="tensors">The address of each tensor; 0 counts as zeros.</param>
/// <param name="sums">Receives the sum of each block.</param>
internal sealed unsafe class SquareWork(WeightBlocks blocks, nint[] tensors, double[] sums)
{
    /// <summary>Does all blocks, on the threads that torch computes with.</summary>
    public void Run() => Workers.Run(blocks.Count, Do);

    private void Do(int block)
    {
        (int tensor, long start, int count) = blocks[block];
        sums[block] = tensors[tensor] == 0 ? 0 : Sum((float*)tensors[tensor] + start, count);
    }

    /// <summary>The sum of squares in float64, in eight lanes whatever the processor's width: the same bytes everywhere.</summary>
    public static double Sum(float* values, int count)
    {
        Vector256<double> low = Vector256<double>.Zero, high = Vector256<double>.Zero;
        int i = 0;
        for (; i <= count - Vector256<float>.Count; i += Vector256<float>.Count)
        {
            (Vector256<double> first, Vector256<double> second) = Vector256.Widen(Vector256.Load(values + i));
            low += first * first; // exact: a product of two float32 fits into a float64
            high += second * second;
        }
        double sum = Vector256.Sum(low + high);
        for (; i < count; i++) sum += (double)values[i] * values[i];
        return sum;
    }
}
