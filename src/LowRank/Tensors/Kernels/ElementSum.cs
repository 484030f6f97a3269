using System.Runtime.CompilerServices;
using LowRank.Tensors.Native;
using static TorchSharp.torch;

namespace LowRank.Tensors.Kernels;

/// <summary>The sum of two tensors of one shape that fit <see cref="Elementwise"/>, without a graph.</summary>
internal readonly unsafe struct ElementSum : IElementwise
{
    /// <summary>a + b, without gaps, in the caller's dispose scope.</summary>
    public static Tensor Of(Tensor a, Tensor b)
    {
        Tensor sum = StepMemory.Empty(a.shape);
        Elementwise.Run<ElementSum>(a, b, null, sum, null);
        return sum;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IElementwise.At<TWide, TVector>(in ElementRow from, long i) => TWide.Store(from.First + i, TWide.Add(TWide.Load(from.A + i), TWide.Load(from.B + i)));
}
