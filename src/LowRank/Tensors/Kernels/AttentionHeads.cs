using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using LowRank.Tensors.Native;
using static TorchSharp.torch;

namespace LowRank.Tensors.Kernels;

/// <summary>Where the numbers of heads lie in memory: [rows, heads, tokens, dimension], each head's numbers of a token side by side.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly unsafe struct AttentionHeads
{
    private readonly float* first;
    private readonly long row;
    private readonly long head;

    private AttentionHeads(float* first, long row, long head, long token)
    {
        this.first = first;
        (this.row, this.head, TokenStride) = (row, head, token);
    }

    /// <summary>Numbers from one token to the next.</summary>
    public long TokenStride { get; }

    /// <summary>The heads of a tensor.</summary>
    /// <param name="heads">[rows, heads, tokens, dimension], its last axis without gaps; valid while it lives.</param>
    public static AttentionHeads Of(Tensor heads) => new((float*)NativeTensor.Address(heads), heads.stride(0), heads.stride(1), heads.stride(2));

    /// <summary>The heads of a tensor in which a token's heads lie side by side.</summary>
    /// <param name="mixed">[rows, tokens, heads · dimension], without gaps; valid while it lives.</param>
    /// <param name="dimension">Width of a head.</param>
    public static AttentionHeads OfMixed(Tensor mixed, int dimension) => new((float*)NativeTensor.Address(mixed), mixed.stride(0), dimension, mixed.stride(1));

    /// <summary>The numbers of a token.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public float* At(int inRow, int ofHead, int token) => first + inRow * row + ofHead * head + token * TokenStride;
}
