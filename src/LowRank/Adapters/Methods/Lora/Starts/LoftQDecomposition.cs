using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters.Methods.Lora.Starts;

/// <summary>LoftQ's alternation (arXiv 2310.08659, algorithm 1): a quantised weight and a pair that together come near to the
/// weight itself.</summary>
public static class LoftQDecomposition
{
    /// <summary>Looks for Q, A and B with Q + B·A near W: W − B·A is quantised, and of what Q lacks the largest singular
    /// directions become B·A, again and again.</summary>
    /// <param name="weight">W, [out, in], float32.</param>
    /// <param name="rank">The rank of B·A.</param>
    /// <param name="iterations">How often; from the second on, Q is no longer what quantising W alone gives.</param>
    /// <param name="quantize">Quantises a matrix and gives the values that the quantised form stands for.</param>
    /// <returns>Q [out, in], A [rank, in] and B [out, rank], in the caller's dispose scope.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The rank or the iterations are below 1, or the rank is more than W can have.</exception>
    public static (Tensor Quantized, Tensor A, Tensor B) Of(Tensor weight, int rank, int iterations, Func<Tensor, Tensor> quantize)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(iterations, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(rank, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(rank, Math.Min(weight.shape[0], weight.shape[1]));
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        Tensor rest = weight, quantized = weight, a = weight, b = weight; // each is made in the first round
        for (int i = 0; i < iterations; i++)
        {
            quantized = quantize(rest);
            (Tensor u, Tensor values, Tensor vh) = linalg.svd(weight - quantized, fullMatrices: false);
            Tensor root = values.narrow(0, 0, rank).sqrt();
            (a, b) = (root.unsqueeze(1) * vh.narrow(0, 0, rank), u.narrow(1, 0, rank) * root);
            rest = weight - matmul(b, a);
        }
        return (quantized.MoveToOuterDisposeScope(), a.MoveToOuterDisposeScope(), b.MoveToOuterDisposeScope());
    }
}
