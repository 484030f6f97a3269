using System.Runtime.CompilerServices;
using LowRank.Kernels.Native;
using static TorchSharp.torch;

namespace LowRank.Kernels;

/// <summary>An activation function computed from its formula.</summary>
/// <typeparam name="TFormula">The function.</typeparam>
internal sealed class ActivationKernel<TFormula> : IActivationKernel
    where TFormula : struct, IActivationFormula
{
    /// <inheritdoc/>
    public Tensor Value(Tensor input)
    {
        Tensor output = StepMemory.Empty(input.shape);
        Elementwise.Run<ValueAt>(input, null, null, output, null);
        return output;
    }

    /// <inheritdoc/>
    public Tensor Back(Tensor input, Tensor gradient)
    {
        Tensor output = StepMemory.Empty(input.shape);
        Elementwise.Run<BackAt>(input, null, gradient, output, null);
        return output;
    }

    /// <inheritdoc/>
    public Tensor Gated(Tensor gate, Tensor up)
    {
        Tensor output = StepMemory.Empty(gate.shape);
        Elementwise.Run<GatedAt>(gate, up, null, output, null);
        return output;
    }

    /// <inheritdoc/>
    public void GatedBack(Tensor gate, Tensor up, Tensor gradient, Tensor ofGate, Tensor ofUp) =>
        Elementwise.Run<GatedBackAt>(gate, up, gradient, ofGate, ofUp);

    private readonly unsafe struct ValueAt : IElementwise
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void At<TWide, TVector>(in ElementRow from, long i)
            where TWide : struct, IWide<TVector>
            where TVector : struct =>
            TWide.Store(from.First + i, TFormula.Value<TWide, TVector>(TWide.Load(from.A + i)));
    }

    private readonly unsafe struct BackAt : IElementwise
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void At<TWide, TVector>(in ElementRow from, long i)
            where TWide : struct, IWide<TVector>
            where TVector : struct
        {
            TWide.Store(from.First + i,
                TFormula.Back<TWide, TVector>(TWide.Load(from.A + i), TWide.Load(from.C + i), out _));
        }
    }

    private readonly unsafe struct GatedAt : IElementwise
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void At<TWide, TVector>(in ElementRow from, long i)
            where TWide : struct, IWide<TVector>
            where TVector : struct =>
            TWide.Store(from.First + i,
            TWide.Multiply(TFormula.Value<TWide, TVector>(TWide.Load(from.A + i)), TWide.Load(from.B + i)));
    }

    private readonly unsafe struct GatedBackAt : IElementwise
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void At<TWide, TVector>(in ElementRow from, long i)
            where TWide : struct, IWide<TVector>
            where TVector : struct
        {
            TVector gradient = TWide.Load(from.C + i), up = TWide.Load(from.B + i);
            TWide.Store(from.First + i,
                TFormula.Back<TWide, TVector>(TWide.Load(from.A + i), TWide.Multiply(gradient, up), out TVector value));
            TWide.Store(from.Second + i, TWide.Multiply(gradient, value));
        }
    }
}

/// <summary>An activation function over whole tensors, alone or as a gate, without a graph.</summary>
/// <remarks>The tensors must satisfy <see cref="Elementwise"/>, and those of one call have the same shape. Results are
/// contiguous and in the caller's dispose scope.</remarks>
internal interface IActivationKernel
{
    /// <summary>f(x).</summary>
    Tensor Value(Tensor input);

    /// <summary>The gradient of x: dy·f′(x).</summary>
    Tensor Back(Tensor input, Tensor gradient);

    /// <summary>f(g)·u.</summary>
    Tensor Gated(Tensor gate, Tensor up);

    /// <summary>Writes the gradients of g and u: dy·u·f′(g) and dy·f(g).</summary>
    void GatedBack(Tensor gate, Tensor up, Tensor gradient, Tensor ofGate, Tensor ofUp);
}

/// <summary>An activation function and its derivative.</summary>
internal interface IActivationFormula
{
    /// <summary>f(x).</summary>
    static abstract TVector Value<TWide, TVector>(TVector x)
        where TWide : struct, IWide<TVector>
        where TVector : struct;

    /// <summary>dy·f′(x).</summary>
    static abstract TVector Back<TWide, TVector>(TVector x, TVector gradient, out TVector value)
        where TWide : struct, IWide<TVector>
        where TVector : struct;
}

/// <summary>x·Φ(x), where Φ is the cumulative normal distribution (arXiv 1606.08415).</summary>
/// <remarks>Φ(−a) = e^(−a²/2)·t·P(v) for a ≥ 0 with t = 1 / (1 + 0.3·a), v = t − 1 and a polynomial P (the form of
/// Abramowitz and Stegun 7.1.26), here of degree 9 through the Chebyshev nodes of t for a up to 13.3. Its relative
/// error is within 5e-9 before rounding, so the lower tail keeps its digits where 1 + erf would cancel.</remarks>
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
        return TWide.Multiply(
            gradient, TWide.MultiplyAdd(TWide.Multiply(x, TWide.Broadcast(0.39894228f)), bell, below));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVector Below<TWide, TVector>(TVector x, out TVector bell)
        where TWide : struct, IWide<TVector>
        where TVector : struct
    {
        TVector one = TWide.Broadcast(1),
            mirrored = TWide.Max(
                TWide.Subtract(default, TWide.Max(x, TWide.Subtract(default, x))), TWide.Broadcast(Farthest));
        TVector scaled = TWide.Multiply(mirrored, TWide.Broadcast(Slope)),
            t = TWide.Divide(one, TWide.Subtract(one, scaled)), v = TWide.Multiply(scaled, t);
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

/// <summary>x·(1 + tanh(u)) / 2 with u = √(2/π)·(x + 0.044715·x³) (arXiv 1606.08415, section 2), which is
/// x·σ(2u).</summary>
internal readonly struct TanhGeluFormula : IActivationFormula
{
    private const float Linear = 1.5957691216f;           // 2·√(2/π)
    private const float Cubic = 0.044715f * 1.5957691216f;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Value<TWide, TVector>(TVector x)
        where TWide : struct, IWide<TVector>
        where TVector : struct =>
        TWide.Multiply(x, Sigmoid.Of<TWide, TVector>(Doubled<TWide, TVector>(x, TWide.Multiply(x, x)), out _));

    // σ + x·σ·(1 − σ)·(2u)′
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Back<TWide, TVector>(TVector x, TVector gradient, out TVector value)
        where TWide : struct, IWide<TVector>
        where TVector : struct
    {
        TVector square = TWide.Multiply(x, x),
            share = Sigmoid.Of<TWide, TVector>(Doubled<TWide, TVector>(x, square), out TVector rest);
        TVector inner = TWide.MultiplyAdd(TWide.Broadcast(3 * Cubic), square, TWide.Broadcast(Linear));
        value = TWide.Multiply(x, share);
        return TWide.Multiply(gradient, TWide.MultiplyAdd(TWide.Multiply(value, rest), inner, share));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVector Doubled<TWide, TVector>(TVector x, TVector square)
        where TWide : struct, IWide<TVector>
        where TVector : struct =>
        TWide.Multiply(x, TWide.MultiplyAdd(TWide.Broadcast(Cubic), square, TWide.Broadcast(Linear)));
}

/// <summary>max(x, 0).</summary>
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

/// <summary>1 / (1 + e⁻ˣ).</summary>
internal static class Sigmoid
{
    /// <summary>σ(x) and 1 − σ(x), both with a small relative error: computed from e = e^−|x|, neither
    /// cancels.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Of<TWide, TVector>(TVector x, out TVector rest)
        where TWide : struct, IWide<TVector>
        where TVector : struct
    {
        TVector one = TWide.Broadcast(1),
            e = TWide.ExpOfNegative(TWide.Subtract(default, TWide.Max(x, TWide.Subtract(default, x))));
        TVector large = TWide.Divide(one, TWide.Add(one, e)), small = TWide.Multiply(e, large);
        rest = TWide.WhereAtMostZero(x, large, small);
        return TWide.WhereAtMostZero(x, small, large);
    }
}
