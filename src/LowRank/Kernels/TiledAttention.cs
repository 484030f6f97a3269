using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace LowRank.Kernels;

/// <summary>softmax(QKᵀ·scale)V in tiles, without storing anything of size tokens². The forward pass uses the online
/// softmax; the backward pass recomputes the probabilities from the logarithms of its sums (FlashAttention, arXiv
/// 2205.14135 and 2307.08691).</summary>
/// <remarks>Query heads that share a key-value head read it in place. Gradients of a key from several queries are
/// summed in sequence order.</remarks>
[StructLayout(LayoutKind.Auto)]
internal unsafe struct TiledAttention
{
    /// <summary>Any distance, for <see cref="Back"/> and <see cref="Ahead"/>.</summary>
    public const int Anywhere = 1 << 29;

    /// <summary>The largest supported head width, which sizes a thread's tiles.</summary>
    public const int MostDimension = 512;

    /// <summary>[rows, heads, queries, dimension]</summary>
    public AttentionHeads Query;

    /// <summary>[rows, key-value heads, keys, dimension]</summary>
    public AttentionHeads Key;

    /// <summary>Same shape as <see cref="Key"/>.</summary>
    public AttentionHeads Value;

    /// <summary>The result, same shape as <see cref="Query"/>.</summary>
    public AttentionHeads Output;

    /// <summary>Logarithms of the softmax sums, [rows, heads, queries]; written in the forward pass unless null, and
    /// read in the backward pass.</summary>
    public float* LogSums;

    /// <summary>The result's gradient, same shape as <see cref="Query"/>; like the following ones, only in the backward
    /// pass.</summary>
    public AttentionHeads OutputGradient;

    /// <summary>Receives the queries' gradient.</summary>
    public AttentionHeads QueryGradient;

    /// <summary>Receives the keys' gradient.</summary>
    public AttentionHeads KeyGradient;

    /// <summary>Receives the values' gradient.</summary>
    public AttentionHeads ValueGradient;

    /// <summary>Number of query heads.</summary>
    public int Heads;

    /// <summary>Number of query heads per key-value head.</summary>
    public int Groups;

    /// <summary>Width of a head.</summary>
    public int Dimension;

    /// <summary>Number of queries in a row, over all sequences.</summary>
    public int Queries;

    /// <summary>Factor of the scores.</summary>
    public float Scale;

    /// <summary>How many positions before its own a query sees.</summary>
    public int Back;

    /// <summary>How many positions after its own a query sees: 0 for causal attention.</summary>
    public int Ahead;

    /// <summary>The sequences of <see cref="AttentionSequences"/>, like the three that follow.</summary>
    public AttentionSequence* Sequences;

    /// <summary>For each sequence, the indices of the sequences before it.</summary>
    public int* Before;

    /// <summary>The indices of the sequences that the parts need.</summary>
    public int* Needed;

    /// <summary>The parts of the pass.</summary>
    public AttentionPart* Parts;

    /// <summary>Whether this processor has vectors that the kernel supports.</summary>
    public static bool IsSupported { get; } = Avx2.IsSupported && Fma.IsSupported;

    /// <summary>Computes the output.</summary>
    /// <param name="sequences">Which sequences attend to which; the queries of all of them are computed.</param>
    public void Forward(AttentionSequences sequences)
    {
        fixed (AttentionPart* parts = sequences.Parts)
            Run(sequences, parts, sequences.Parts.Length * Heads, backward: false);
    }

    /// <summary>Computes the gradients of all queries, keys and values.</summary>
    /// <param name="sequences">As in <see cref="Forward"/>.</param>
    public void Backward(AttentionSequences sequences)
    {
        fixed (AttentionPart* parts = sequences.Trees)
            Run(sequences, parts, sequences.Trees.Length * (Heads / Groups), backward: true);
    }

    private void Run(AttentionSequences sequences, AttentionPart* parts, int count, bool backward)
    {
        fixed (AttentionSequence* first = sequences.Sequences)
        fixed (int* before = sequences.Before, needed = sequences.Needed)
        fixed (TiledAttention* work = &this)
        {
            work->Sequences = first;
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

/// <summary>The building blocks of attention tiles. Queries are in the columns of a panel and keys in its rows, so that
/// the softmax over keys runs along vectors and never across one.</summary>
/// <typeparam name="TWide">Arithmetic on vectors.</typeparam>
/// <typeparam name="TVector">A vector.</typeparam>
internal static unsafe class AttentionTile<TWide, TVector>
    where TWide : struct, IWide<TVector>
    where TVector : struct
{
    /// <summary>Number of keys per tile: a panel of their scores stays in the L1 cache.</summary>
    public const int Keys = 128;

    /// <summary>The width to which head rows are padded with zeros.</summary>
    public static int Pitch(int dimension) =>
        (dimension + GemmMicroKernel<TWide, TVector>.Columns - 1) / GemmMicroKernel<TWide, TVector>.Columns
        * GemmMicroKernel<TWide, TVector>.Columns;

    /// <summary>Copies tokens of a head to contiguous rows, padded with zeros.</summary>
    /// <param name="from">The first token.</param>
    /// <param name="stride">Stride between tokens.</param>
    /// <param name="count">Number of tokens.</param>
    /// <param name="dimension">Number of elements per token.</param>
    /// <param name="to">The rows.</param>
    /// <param name="pitch">Number of elements per row.</param>
    /// <param name="rows">Total number of rows; those after the last token become 0.</param>
    /// <param name="scale">Factor of the elements.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Gather(
        float* from, long stride, int count, int dimension, float* to, int pitch, int rows, float scale)
    {
        TVector factor = TWide.Broadcast(scale);
        int whole = dimension - dimension % TWide.Count;
        for (int row = 0; row < count; row++, from += stride, to += pitch)
        {
            for (int d = 0; d < whole; d += TWide.Count)
                TWide.Store(to + d, TWide.Multiply(TWide.Load(from + d), factor));
            if (whole == pitch) continue;
            for (int d = whole; d < pitch; d++) to[d] = d < dimension ? from[d] * scale : 0;
        }
        if (rows > count) new Span<float>(to, (rows - count) * pitch).Clear();
    }

    /// <summary>Copies rows to tokens of a head.</summary>
    /// <param name="from">The rows.</param>
    /// <param name="pitch">Number of elements per row.</param>
    /// <param name="count">Number of rows.</param>
    /// <param name="dimension">Number of elements per token.</param>
    /// <param name="to">The first token.</param>
    /// <param name="stride">Stride between tokens.</param>
    /// <param name="scale">Factor of the elements.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Scatter(float* from, int pitch, int count, int dimension, float* to, long stride, float scale)
    {
        for (int row = 0; row < count; row++, from += pitch, to += stride) Scale(from, to, dimension, scale);
    }

    /// <summary>to = from · factor.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Scale(float* from, float* to, int count, float factor)
    {
        TVector all = TWide.Broadcast(factor);
        int i = 0;
        for (; i + TWide.Count <= count; i += TWide.Count)
            TWide.Store(to + i, TWide.Multiply(TWide.Load(from + i), all));
        for (; i < count; i++) to[i] = from[i] * factor;
    }

    /// <summary>Transposes a panel: [columns of a panel, pitch] to [pitch, columns of a panel].</summary>
    public static void Transpose(float* rows, int pitch, float* panel)
    {
        int columns = GemmMicroKernel<TWide, TVector>.Columns;
        for (int d = 0; d < pitch; d += TWide.Count)
            for (int row = 0; row < columns; row += TWide.Count)
                TWide.Transpose(rows + (long)row * pitch + d, pitch, panel + (long)d * columns + row, columns);
    }

    /// <summary>Multiplies rows by a matrix of any number of panels: c (+)= a · b.</summary>
    /// <param name="a">[rows, depth]</param>
    /// <param name="rowStride">The stride between rows of a.</param>
    /// <param name="stepStride">The stride between columns of a.</param>
    /// <param name="b">[depth, pitch]</param>
    /// <param name="c">[rows, pitch]</param>
    /// <param name="rows">Number of rows.</param>
    /// <param name="depth">Length of the sums.</param>
    /// <param name="pitch">Number of columns in b and c.</param>
    /// <param name="adds">Whether to add to the contents of c.</param>
    public static void Product(
        float* a, long rowStride, long stepStride, float* b, float* c, int rows, int depth, int pitch, bool adds)
    {
        for (int column = 0; column < pitch; column += GemmMicroKernel<TWide, TVector>.Columns)
            GemmMicroKernel<TWide, TVector>.Multiply(
                a, rowStride, stepStride, b + column, pitch, c + column, pitch, rows, depth, adds);
    }

    /// <summary>Overwrites the scores of keys that queries do not see.</summary>
    /// <param name="scores">[keys, columns of a panel]</param>
    /// <param name="keys">Number of keys.</param>
    /// <param name="distance">The first key's position minus the first query's.</param>
    /// <param name="back">How far back queries see.</param>
    /// <param name="ahead">How far ahead they see.</param>
    /// <param name="value">The value to write.</param>
    public static void Hide(float* scores, int keys, int distance, int back, int ahead, float value)
    {
        int columns = GemmMicroKernel<TWide, TVector>.Columns;
        if (distance + keys - 1 <= ahead && distance + back >= columns - 1) return; // all see all
        for (int key = 0; key < keys; key++, scores += columns)
        {
            int first = Math.Clamp(distance + key - ahead, 0, columns),
                end = Math.Clamp(distance + key + back + 1, 0, columns);
            if (first > 0) new Span<float>(scores, first).Fill(value);
            if (end < columns) new Span<float>(scores + end, columns - end).Fill(value);
        }
    }

    /// <summary>The range of a sequence's keys that the queries of a panel see, in groups of four.</summary>
    /// <param name="distance">The first key's position minus the first query's.</param>
    /// <param name="keys">Number of keys in the sequence.</param>
    /// <param name="queries">Number of queries in the panel.</param>
    /// <param name="back">How far back queries see.</param>
    /// <param name="ahead">How far ahead they see.</param>
    /// <returns>The first key, a multiple of 4, and the end (exclusive).</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (int First, int End) Seen(int distance, int keys, int queries, int back, int ahead) =>
        (Math.Max(0, -distance - back) & ~3, Math.Min(keys, queries + ahead - distance));
}
