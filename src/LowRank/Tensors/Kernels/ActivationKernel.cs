using System.Runtime.CompilerServices;
using LowRank.Tensors.Native;
using static TorchSharp.torch;

namespace LowRank.Tensors.Kernels;

/// <summary>An activation function by its formula.</summary>
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
    public void GatedBack(Tensor gate, Tensor up, Tensor gradient, Tensor ofGate, Tensor ofUp) => Elementwise.Run<GatedBackAt>(gate, up, gradient, ofGate, ofUp);

    private readonly unsafe struct ValueAt : IElementwise
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void At<TWide, TVector>(in ElementRow from, long i)
            where TWide : struct, IWide<TVector>
            where TVector : struct => TWide.Store(from.First + i, TFormula.Value<TWide, TVector>(TWide.Load(from.A + i)));
    }

    private readonly unsafe struct BackAt : IElementwise
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void At<TWide, TVector>(in ElementRow from, long i)
            where TWide : struct, IWide<TVector>
            where TVector : struct
        {
            TWide.Store(from.First + i, TFormula.Back<TWide, TVector>(TWide.Load(from.A + i), TWide.Load(from.C + i), out _));
        }
    }

    private readonly unsafe struct GatedAt : IElementwise
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void At<TWide, TVector>(in ElementRow from, long i)
            where TWide : struct, IWide<TVector>
            where TVector : struct => TWide.Store(from.First + i, TWide.Multiply(TFormula.Value<TWide, TVector>(TWide.Load(from.A + i)), TWide.Load(from.B + i)));
    }

    private readonly unsafe struct GatedBackAt : IElementwise
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void At<TWide, TVector>(in ElementRow from, long i)
            where TWide : struct, IWide<TVector>
            where TVector : struct
        {
            TVector gradient = TWide.Load(from.C + i), up = TWide.Load(from.B + i);
            TWide.Store(from.First + i, TFormula.Back<TWide, TVector>(TWide.Load(from.A + i), TWide.Multiply(gradient, up), out TVector value));
            TWide.Store(from.Second + i, TWide.Multiply(gradient, value));
        }
    }
}
