using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace LowRank.Tensors.Kernels;

/// <summary>softmax(QKᵀ·scale)V in tiles, of which nothing of tokens² is kept: the online softmax forward, the probabilities again
/// from the logarithms of its sums backward (FlashAttention, arXiv 2205.14135 and 2307.08691).</summary>
/// <remarks>Query heads that share a key-value head read it where it is. A query's result depends neither on the texts beside its own
/// nor on the number of threads; what reaches a key from several queries is summed in the texts' order.</remarks>
[StructLayout(LayoutKind.Auto)]
internal unsafe struct TiledAttention
{
    /// <summary>For <see cref="Back"/> and <see cref="Ahead"/>: any distance.</summary>
    public const int Anywhere = 1 << 29;

    /// <summary>The widest head that is taken; a thread's tiles are of it.</summary>
    public const int MostDimension = 512;

    /// <summary>[rows, heads, queries, dimension]</summary>
    public AttentionHeads Query;

    /// <summary>[rows, key-value heads, keys, dimension]</summary>
    public AttentionHeads Key;

    /// <summary>As <see cref="Key"/>.</summary>
    public AttentionHeads Value;

    /// <summary>The result, as <see cref="Query"/>.</summary>
    public AttentionHeads Output;

    /// <summary>Logarithms of the sums of the softmax, [rows, heads, queries]; written forward, unless null, and read backward.</summary>
    public float* LogSums;

    /// <summary>The result's gradient, as <see cref="Query"/>; of the backward pass, as what follows.</summary>
    public AttentionHeads OutputGradient;

    /// <summary>Receives the queries' gradient.</summary>
    public AttentionHeads QueryGradient;

    /// <summary>Receives the keys' gradient.</summary>
    public AttentionHeads KeyGradient;

    /// <summary>Receives the values' gradient.</summary>
    public AttentionHeads ValueGradient;

    /// <summary>Query heads.</summary>
    public int Heads;

    /// <summary>Query heads for each key-value head.</summary>
    public int Groups;

    /// <summary>Width of a head.</summary>
    public int Dimension;

    /// <summary>Queries of a row, all texts together.</summary>
    public int Queries;

    /// <summary>What scores are multiplied by.</summary>
    public float Scale;

    /// <summary>How many positions back of its own a query sees.</summary>
    public int Back;

    /// <summary>How many positions ahead of its own a query sees: 0 when it attends causally.</summary>
    public int Ahead;

    /// <summary>Of <see cref="AttentionTexts"/>, as the three that follow.</summary>
    public AttentionText* Texts;

    /// <summary>The numbers of the texts before each.</summary>
    public int* Before;

    /// <summary>The numbers of the texts that parts need.</summary>
    public int* Needed;

    /// <summary>The parts of the pass.</summary>
    public AttentionPart* Parts;

    /// <summary>Whether this processor has vectors that the kernel was written for.</summary>
    public static bool IsSupported { get; } = Avx2.IsSupported && Fma.IsSupported;

    /// <summary>Computes the output.</summary>
    /// <param name="texts">What attends to what; all texts' queries are computed.</param>
    public void Forward(AttentionTexts texts)
    {
        fixed (AttentionPart* parts = texts.Parts)
            Run(texts, parts, texts.Parts.Length * Heads, backward: false);
    }

    /// <summary>Computes the gradients of all queries, keys and values.</summary>
    /// <param name="texts">As of <see cref="Forward"/>.</param>
    public void Backward(AttentionTexts texts)
    {
        fixed (AttentionPart* parts = texts.Trees)
            Run(texts, parts, texts.Trees.Length * (Heads / Groups), backward: true);
    }

    private void Run(AttentionTexts texts, AttentionPart* parts, int count, bool backward)
    {
        fixed (AttentionText* first = texts.Texts)
        fixed (int* before = texts.Before, needed = texts.Needed)
        fixed (TiledAttention* work = &this)
        {
            work->Texts = first;
            work->Before = before;
            work->Needed = needed;
            work->Parts = parts;
            if (Vector512.IsHardwareAccelerated)
            {
                if (backward) Workers.Run(count, &TiledAttentionBackward<Wide512, Vector512<float>>.Part, work);
                else Workers.Run(count, &TiledAttentionForward<Wide512, Vector512<float>>.Part, work);
            }
            else if (backward)
            {
                Workers.Run(count, &TiledAttentionBackward<Wide256, Vector256<float>>.Part, work);
            }
            else
            {
                Workers.Run(count, &TiledAttentionForward<Wide256, Vector256<float>>.Part, work);
            }
        }
    }
}
