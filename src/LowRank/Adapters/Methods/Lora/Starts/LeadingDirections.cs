using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters.Methods.Lora.Starts;

/// <summary>The largest singular directions of a matrix by random projection (Halko, Martinsson and Tropp, arXiv 0909.4061,
/// algorithms 4.4 and 5.1).</summary>
internal static class LeadingDirections
{
    /// <summary>U [rows, count], values [count], Vᵀ [count, columns], in the caller's dispose scope.</summary>
    /// <param name="matrix">[rows, columns]</param>
    /// <param name="count">How many directions; fewer where the matrix has fewer.</param>
    /// <param name="iterations">Subspace iterations; each makes the directions of close values more exact.</param>
    /// <param name="random">The source of randomness.</param>
    public static (Tensor U, Tensor Values, Tensor Vh) Of(Tensor matrix, int count, int iterations, Generator random)
    {
        using var noGradient = no_grad();
        long width = Math.Min(count, Math.Min(matrix.shape[0], matrix.shape[1]));
        Tensor probe = empty(matrix.shape[1], width).normal_(0, 1, random).to(matrix.device);
        (Tensor basis, _) = linalg.qr(matmul(matrix, probe));
        for (int i = 0; i < iterations; i++)
        {
            (Tensor back, _) = linalg.qr(matmul(matrix.t(), basis));
            (basis, _) = linalg.qr(matmul(matrix, back));
        }
        (Tensor u, Tensor values, Tensor vh) = linalg.svd(matmul(basis.t(), matrix), fullMatrices: false);
        return (matmul(basis, u), values, vh);
    }
}
