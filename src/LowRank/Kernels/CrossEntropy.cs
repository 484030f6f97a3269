using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using LowRank.Kernels.Native;
using static TorchSharp.torch;

namespace LowRank.Kernels;

/// <summary>Cross-entropy of rows of logits, which are overwritten with their gradients: softmax(row), minus 1 at the
/// label.</summary>
[StructLayout(LayoutKind.Auto)]
internal unsafe struct CrossEntropy
{
    private float* logits;
    private long* labels;
    private double* losses;
    private int width;
    private bool needsGradient;

    /// <summary>The loss of each row in nats.</summary>
    /// <param name="logits">[rows, classes], float32, contiguous, on the processor. Afterwards they hold the gradients
    /// if needed, and are otherwise undefined.</param>
    /// <param name="labels">[rows], int64, each in [0, classes).</param>
    /// <param name="needsGradient">Whether gradients are needed.</param>
    public static double[] Compute(Tensor logits, Tensor labels, bool needsGradient)
    {
        int rows = (int)logits.shape[0];
        var losses = new double[rows];
        fixed (double* sums = losses)
        {
            var work = new CrossEntropy
            {
                logits = (float*)NativeTensor.Address(logits), labels = (long*)NativeTensor.Address(labels),
                    losses = sums, width = (int)logits.shape[1], needsGradient = needsGradient,
            };
            if (Vector512.IsHardwareAccelerated) Workers.Run(rows, &Row<Wide512, Vector512<float>>, &work);
            else Workers.Run(rows, &Row<Wide256, Vector256<float>>, &work);
        }
        return losses;
    }

    /// <summary>Like <see cref="Compute"/>, with torch's operations; the logits stay unchanged.</summary>
    /// <param name="logits">[rows, classes]</param>
    /// <param name="labels">[rows], int64.</param>
    /// <returns>The losses, [rows], and their gradients, [rows, classes], in the caller's dispose scope.</returns>
    public static (Tensor Losses, Tensor Gradient) Plain(Tensor logits, Tensor labels)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        Tensor places = labels.unsqueeze(1), logarithms = nn.functional.log_softmax(logits, 1),
            right = logarithms.gather(1, places);
        return (right.squeeze(1).neg().MoveToOuterDisposeScope(),
            logarithms.exp_().scatter_add_(1, places, full_like(right, Number(-1))).MoveToOuterDisposeScope());
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Row<TWide, TVector>(void* shared, int row)
        where TWide : struct, IWide<TVector>
        where TVector : struct
    {
        var work = (CrossEntropy*)shared;
        float* x = work->logits + (long)row * work->width;
        int width = work->width;
        float highest = Highest<TWide, TVector>(x, width);
        double expected = x[work->labels[row]];
        TVector shift = TWide.Broadcast(highest), total = default;
        int i = 0;
        for (; i + TWide.Count <= width; i += TWide.Count)
        {
            TVector e = TWide.ExpOfNegative(TWide.Subtract(TWide.Load(x + i), shift));
            total = TWide.Add(total, e);
            TWide.Store(x + i, e);
        }
        double sum = TWide.Sum(total);
        for (; i < width; i++) sum += x[i] = MathF.Exp(x[i] - highest);
        work->losses[row] = Math.Log(sum) + highest - expected;
        if (!work->needsGradient) return;
        TVector factor = TWide.Broadcast((float)(1 / sum));
        for (i = 0; i + TWide.Count <= width; i += TWide.Count)
            TWide.Store(x + i, TWide.Multiply(TWide.Load(x + i), factor));
        for (; i < width; i++) x[i] *= (float)(1 / sum);
        x[work->labels[row]] -= 1;
    }

    // A NaN logit makes the maximum NaN, and with it the loss.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Highest<TWide, TVector>(float* x, int width)
        where TWide : struct, IWide<TVector>
        where TVector : struct
    {
        int i = 0;
        float highest = float.NegativeInfinity;
        if (width >= TWide.Count)
        {
            TVector most = TWide.Load(x);
            for (i = TWide.Count; i + TWide.Count <= width; i += TWide.Count) most = TWide.Max(most, TWide.Load(x + i));
            float* places = stackalloc float[TWide.Count];
            TWide.Store(places, most);
            for (int place = 0; place < TWide.Count; place++) highest = MathF.Max(highest, places[place]);
        }
        for (; i < width; i++) highest = MathF.Max(highest, x[i]);
        return highest;
    }
}
