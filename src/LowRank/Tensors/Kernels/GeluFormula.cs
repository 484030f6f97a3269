using System.Runtime.CompilerServices;

namespace LowRank.Tensors.Kernels;

/// <summary>x·Φ(x), Φ the normal distribution's share below x (arXiv 1606.08415).</summary>
/// <remarks>Φ(−a) = e^(−a²/2)·t·P(v) for a ≥ 0 with t = 1 / (1 + 0.3·a), v = t − 1 and P a polynomial (the form of Abramowitz and Stegun
/// 7.1.26), here of degree 9 through the Chebyshev nodes of t for a up to 13.3: within 5e-9 of Φ(−a) as a share of it, before rounding. So the
/// lower tail keeps its digits, where 1 + erf cancels.</remarks>
internal readonly struct GeluFormula : IActivationFormula
{
    private const float Slope = 0.3f;
    private const float Farthest = -14; // e^(-a²/2) is 0 there

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Value<TWide, TVector>(TVector x)
        where TWide : struct, IWide<TVector>
        where TVector : struct => TWide.Multiply(x, Below<TWide, TVector>(x, out _));

    // Φ + x·φ
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Back<TWide, TVector>(TVector x, TVector gradient, out TVector value)
        where TWide : struct, IWide<TVector>
        where TVector : struct
    {
        TVector below = Below<TWide, TVector>(x, out TVector bell);
        value = TWide.Multiply(x, below);
        return TWide.Multiply(gradient, TWide.MultiplyAdd(TWide.Multiply(x, TWide.Broadcast(0.39894228f)), bell, below));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVector Below<TWide, TVector>(TVector x, out TVector bell)
        where TWide : struct, IWide<TVector>
        where TVector : struct
    {
        TVector one = TWide.Broadcast(1), mirrored = TWide.Max(TWide.Subtract(default, TWide.Max(x, TWide.Subtract(default, x))), TWide.Broadcast(Farthest));
        TVector scaled = TWide.Multiply(mirrored, TWide.Broadcast(Slope)), t = TWide.Divide(one, TWide.Subtract(one, scaled)), v = TWide.Multiply(scaled, t);
        bell = TWide.ExpOfNegative(TWide.Multiply(TWide.Multiply(mirrored, mirrored), TWide.Broadcast(-0.5f)));
        TVector p = TWide.MultiplyAdd(TWide.Broadcast(-0.02083003988f), v, TWide.Broadcast(-0.07388023126f));
        p = TWide.MultiplyAdd(p, v, TWide.Broadcast(-0.07216273372f));
        p = TWide.MultiplyAdd(p, v, TWide.Broadcast(0.009378921277f));
        p = TWide.MultiplyAdd(p, v, TWide.Broadcast(-0.02367622981f));
        p = TWide.MultiplyAdd(p, v, TWide.Broadcast(-0.1398073655f));
        p = TWide.MultiplyAdd(p, v, TWide.Broadcast(0.08101029967f));
        p = TWide.MultiplyAdd(p, v, TWide.Broadcast(0.6181446407f));
        p = TWide.MultiplyAdd(p, v, TWide.Broadcast(0.8298071714f));
        p = TWide.MultiplyAdd(p, v, TWide.Broadcast(0.4999999983f));
        TVector tail = TWide.Multiply(TWide.Multiply(t, bell), p);
        return TWide.WhereAtMostZero(x, tail, TWide.Subtract(one, tail));
    }
}
