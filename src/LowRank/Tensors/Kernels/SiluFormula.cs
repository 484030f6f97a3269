using System.Runtime.CompilerServices;

namespace LowRank.Tensors.Kernels;

/// <summary>x·σ(x), also called swish (arXiv 1702.03118).</summary>
internal readonly struct SiluFormula : IActivationFormula
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Value<TWide, TVector>(TVector x)
        where TWide : struct, IWide<TVector>
        where TVector : struct => TWide.Multiply(x, Sigmoid.Of<TWide, TVector>(x, out _));

    // σ + x·σ·(1 − σ)
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Back<TWide, TVector>(TVector x, TVector gradient, out TVector value)
        where TWide : struct, IWide<TVector>
        where TVector : struct
    {
        TVector share = Sigmoid.Of<TWide, TVector>(x, out TVector rest);
        value = TWide.Multiply(x, share);
        return TWide.Multiply(gradient, TWide.MultiplyAdd(value, rest, share));
    }
}
