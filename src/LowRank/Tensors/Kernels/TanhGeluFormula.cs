using System.Runtime.CompilerServices;

namespace LowRank.Tensors.Kernels;

/// <summary>x·(1 + tanh(u)) / 2 with u = √(2/π)·(x + 0.044715·x³) (arXiv 1606.08415, section 2), which is x·σ(2u).</summary>
internal readonly struct TanhGeluFormula : IActivationFormula
{
    private const float Linear = 1.5957691216f;           // 2·√(2/π)
    private const float Cubic = 0.044715f * 1.5957691216f;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Value<TWide, TVector>(TVector x)
        where TWide : struct, IWide<TVector>
        where TVector : struct => TWide.Multiply(x, Sigmoid.Of<TWide, TVector>(Doubled<TWide, TVector>(x, TWide.Multiply(x, x)), out _));

    // σ + x·σ·(1 − σ)·(2u)′
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Back<TWide, TVector>(TVector x, TVector gradient, out TVector value)
        where TWide : struct, IWide<TVector>
        where TVector : struct
    {
        TVector square = TWide.Multiply(x, x), share = Sigmoid.Of<TWide, TVector>(Doubled<TWide, TVector>(x, square), out TVector rest);
        TVector inner = TWide.MultiplyAdd(TWide.Broadcast(3 * Cubic), square, TWide.Broadcast(Linear));
        value = TWide.Multiply(x, share);
        return TWide.Multiply(gradient, TWide.MultiplyAdd(TWide.Multiply(value, rest), inner, share));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVector Doubled<TWide, TVector>(TVector x, TVector square)
        where TWide : struct, IWide<TVector>
        where TVector : struct => TWide.Multiply(x, TWide.MultiplyAdd(TWide.Broadcast(Cubic), square, TWide.Broadcast(Linear)));
}
