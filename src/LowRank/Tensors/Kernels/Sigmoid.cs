using System.Runtime.CompilerServices;

namespace LowRank.Tensors.Kernels;

/// <summary>1 / (1 + e⁻ˣ).</summary>
internal static class Sigmoid
{
    /// <summary>σ(x) and 1 − σ(x), each as near in units of its last place: of e = e^−|x| neither cancels.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Of<TWide, TVector>(TVector x, out TVector rest)
        where TWide : struct, IWide<TVector>
        where TVector : struct
    {
        TVector one = TWide.Broadcast(1), e = TWide.ExpOfNegative(TWide.Subtract(default, TWide.Max(x, TWide.Subtract(default, x))));
        TVector large = TWide.Divide(one, TWide.Add(one, e)), small = TWide.Multiply(e, large);
        rest = TWide.WhereAtMostZero(x, large, small);
        return TWide.WhereAtMostZero(x, small, large);
    }
}
