using System.Runtime.Intrinsics;
using LowRank.Kernels.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Kernels;

/// <summary>The norm of all gradients, computed in one pass over their memory on the processor.</summary>
/// <remarks>Squares are summed in float64 in a fixed order within and across blocks, so the result is the same for any
/// number of threads. PyTorch sums in float32; the two agree to about seven digits.</remarks>
internal sealed class GradientNorm
{
    private readonly Tensor[] weights;
    private readonly WeightBlocks blocks;
    private readonly bool[] isFlat;
    private readonly nint[] gradients; // addresses; 0 for none
    private readonly double[] sums; // one per block

    /// <summary>Prepares the computation for the gradients of some weights.</summary>
    public GradientNorm(IEnumerable<Tensor> weights)
    {
        this.weights = [.. weights];
        blocks = new WeightBlocks(this.weights);
        isFlat = [.. this.weights.Select(NativeTensor.IsPlain)];
        (gradients, sums) = (new nint[this.weights.Length], new double[blocks.Count]);
    }

    /// <summary>The norm; 0 if no weight has a gradient.</summary>
    public double Measure()
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        bool plain = KernelForm.IsPlain;
        var elsewhere = new List<Tensor>(); // norms by torch's operations, synchronised once
        for (int i = 0; i < weights.Length; i++)
        {
            gradients[i] = isFlat[i] && !plain ? NativeTensor.GradientAddress(weights[i]) : 0;
            if ((plain || !isFlat[i]) && weights[i].grad is { } gradient) elsewhere.Add(gradient.norm());
        }
        new SquareWork(blocks, gradients, sums).Run();
        double sum = elsewhere.Count == 0 ? 0
            : stack(elsewhere).to(ScalarType.Float64).pow(Number(2)).sum().item<double>();
        foreach (double part in sums) sum += part;
        return Math.Sqrt(sum);
    }

    /// <summary>Scales every gradient in place.</summary>
    public void Scale(double factor)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        foreach (Tensor weight in weights) weight.grad?.mul_(Number(factor));
    }
}

/// <summary>The norm of all gradients and its limit, as in PyTorch's clip_grad_norm_.</summary>
internal static class GradientClipping
{
    /// <summary>Measures the norm and scales the gradients down if it exceeds the limit.</summary>
    /// <param name="weights">The weights; those without gradients are skipped.</param>
    /// <param name="limit">The maximum norm; 0 or less disables clipping.</param>
    /// <returns>The norm before scaling.</returns>
    public static double Apply(IEnumerable<Tensor> weights, double limit)
    {
        var gradients = new GradientNorm(weights);
        double norm = gradients.Measure();
        double factor = Factor(norm, limit);
        if (factor != 1) gradients.Scale(factor);
        return norm;
    }

    /// <summary>The scale for gradients with a given norm.</summary>
    internal static double Factor(double norm, double limit) =>
        limit > 0 && double.IsFinite(norm) ? Math.Min(1, limit / (norm + 1e-6)) : 1;
}

/// <summary>The sums of squares of blocks.</summary>
/// <param name="blocks">The tensors, split into blocks.</param>
/// <param name="tensors">The address of each tensor; 0 counts as zeros.</param>
/// <param name="sums">Receives the sum of each block.</param>
internal sealed unsafe class SquareWork(WeightBlocks blocks, nint[] tensors, double[] sums)
{
    /// <summary>Processes all blocks on torch's compute threads.</summary>
    public void Run() => Workers.Run(blocks.Count, Do);

    private void Do(int block)
    {
        (int tensor, long start, int count) = blocks[block];
        sums[block] = tensors[tensor] == 0 ? 0 : Sum((float*)tensors[tensor] + start, count);
    }

    /// <summary>The sum of squares in float64, in eight lanes regardless of the vector width, so the result is the same
    /// everywhere.</summary>
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
