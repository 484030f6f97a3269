using System.Runtime.CompilerServices;

namespace LowRank.Tensors.Kernels;

/// <summary>The larger of x and 0.</summary>
internal readonly struct ReluFormula : IActivationFormula
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Value<TWide, TVector>(TVector x)
        where TWide : struct, IWide<TVector>
        where TVector : struct => TWide.Max(x, default);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Back<TWide, TVector>(TVector x, TVector gradient, out TVector value)
        where TWide : struct, IWide<TVector>
        where TVector : struct
    {
        value = TWide.Max(x, default);
        return TWide.WhereAtMostZero(x, default, gradient);
    }
}
