using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Adapters.Inspection;

/// <summary>The size and spectrum of a low-rank change s·B·A of a weight, from its singular values.</summary>
/// <param name="SingularValues">min(rank, in, out) values, largest first; all other singular values of the change are
/// zero.</param>
/// <param name="FrobeniusNorm">The square root of the sum of their squares: the total size of the change.</param>
/// <param name="SpectralNorm">The largest one: the most that the change can stretch an input.</param>
/// <param name="EffectiveRank">exp(−Σ pᵢ ln pᵢ) with pᵢ = σᵢ/Σσ (O. Roy and M. Vetterli, The effective rank, EUSIPCO
/// 2007): the number of directions that share the change, between 1 and the rank; 0 without a change, for which the
/// measure is undefined.</param>
public sealed record DeltaSpectrum(
    IReadOnlyList<double> SingularValues, double FrobeniusNorm, double SpectralNorm, double EffectiveRank)
{
    /// <summary>Computes it in float64 without forming the [out, in] product.</summary>
    /// <remarks>With the reduced QR factors B = Q₁R₁ and Aᵀ = Q₂R₂, B·A = Q₁(R₁R₂ᵀ)Q₂ᵀ. Multiplying by orthonormal
    /// columns preserves singular values, so those of the small R₁R₂ᵀ are the result.</remarks>
    /// <param name="a">A, [rank, in], any float type.</param>
    /// <param name="b">B, [out, rank].</param>
    /// <param name="scale">s.</param>
    /// <exception cref="ArgumentException">The shapes are incompatible.</exception>
    /// <exception cref="NonFiniteException">A, B or the scale contains a value that is not finite.</exception>
    public static DeltaSpectrum From(Tensor a, Tensor b, double scale)
    {
        if (a.dim() != 2 || b.dim() != 2 || a.shape[0] != b.shape[1])
            throw new ArgumentException(
                $"found A [{string.Join(", ", a.shape)}] and B [{string.Join(", ", b.shape)}], expected [rank, in] " +
                "and [out, rank]", nameof(b));
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        Tensor wideA = a.cpu().to(ScalarType.Float64), wideB = b.cpu().to(ScalarType.Float64);
        if (!double.IsFinite(scale) || !isfinite(wideA).all().item<bool>() || !isfinite(wideB).all().item<bool>())
            throw new NonFiniteException(
                "The adapter holds values that are not finite (NaN or infinite): its training diverged. Use an " +
                "earlier checkpoint.");
        (_, Tensor rightA) = linalg.qr(wideA.t());
        (_, Tensor rightB) = linalg.qr(wideB);
        Tensor values = linalg.svdvals(matmul(rightB, rightA.t())).mul(Number(Math.Abs(scale)));
        return From(values.data<double>().ToArray());
    }

    /// <summary>Computes it for a full matrix, in float64.</summary>
    /// <exception cref="NonFiniteException">The matrix contains a value that is not finite.</exception>
    public static DeltaSpectrum From(Tensor delta)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        Tensor wide = delta.cpu().to(ScalarType.Float64);
        if (!isfinite(wide).all().item<bool>())
            throw new NonFiniteException(
                "The adapter holds values that are not finite (NaN or infinite): its training diverged. Use an " +
                "earlier checkpoint.");
        return From(linalg.svdvals(wide).data<double>().ToArray());
    }

    /// <summary>The smallest rank whose largest singular values keep a given fraction of the energy Σσ²; 0 without a
    /// change.</summary>
    /// <param name="fraction">The fraction, above 0 and at most 1.</param>
    public int RankFor(double fraction)
    {
        double left = SingularValues.Sum(value => value * value) * fraction;
        int rank = 0;
        while (left > 0 && rank < SingularValues.Count) left -= SingularValues[rank] * SingularValues[rank++];
        return rank;
    }

    /// <summary>The measures for given singular values.</summary>
    internal static DeltaSpectrum From(double[] values)
    {
        double largest = values.Max();
        if (largest == 0) return new(values, 0, 0, 0);
        // relative to the largest, so that squares neither overflow nor underflow
        double[] relative = [.. values.Select(value => value / largest)];
        double sum = relative.Sum();
        double entropy = -relative.Where(value => value > 0).Sum(value => value / sum * Math.Log(value / sum));
        return new(values, largest * Math.Sqrt(relative.Sum(value => value * value)), largest, Math.Exp(entropy));
    }
}
