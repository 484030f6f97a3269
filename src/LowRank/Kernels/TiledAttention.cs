using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace LowRank.Kernels;

/// <summary>softmax(QKᵀ·scale)V in tiles, without storing anything of size tokens². The forward pass uses the online
/// softmax; the backward pass computes the probabilities again from the logarithms of its sums (FlashAttention, arXiv
/// 2205.14135 and 2307.08691).</summary>
/// <remarks>Query heads that share a key-value head read it in place. The gradients that reach a key from several
/// queries are summed in the sequences' order.</remarks>
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

    /// <summary>Logarithms of the sums of the softmax, [rows, heads, queries]; written forward, unless null, and read
    /// backward.</summary>
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

    /// <summary>Queries of a row, all sequences together.</summary>
    public int Queries;

    /// <summary>What scores are multiplied by.</summary>
    public float Scale;

    /// <summary>How many positions back of its own a query sees.</summary>
    public int Back;

    /// <summary>How many positions ahead of its own a query sees: 0 when it attends causally.</summary>
    public int Ahead;

    /// <summary>Of <see cref="AttentionSequences"/>, as the three that follow.</summary>
    public AttentionSequence* Sequences;

    /// <summary>The numbers of the sequences before each.</summary>
    public int* Before;

    /// <summary>The numbers of the sequences that parts need.</summary>
    public int* Needed;

    /// <summary>The parts of the pass.</summary>
    public AttentionPart* Parts;

    /// <summary>Whether this processor has vectors that the kernel was written for.</summary>
    public static bool IsSupported { get; } = Avx2.IsSupported && Fma.IsSupported;

    /// <summary>Computes the output.</summary>
    /// <param name="sequences">What attends to what; all sequences' queries are computed.</param>
    public void Forward(AttentionSequences sequences)
    {
        fixed (AttentionPart* parts = sequences.Parts)
            Run(sequences, parts, sequences.Parts.Length * Heads, backward: false);
    }

    /// <summary>Computes the gradients of all queries, keys and values.</summary>
    /// <param name="sequences">As of <see cref="Forward"/>.</param>
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

/// <summary>What tiles of attention are made of. Queries stand in the columns of a panel, keys in its rows, so that the
/// softmax over keys goes along vectors and never across one.</summary>
/// <typeparam name="TWide">Arithmetic on vectors.</typeparam>
/// <typeparam name="TVector">A vector.</typeparam>
internal static unsafe class AttentionTile<TWide, TVector>
    where TWide : struct, IWide<TVector>
    where TVector : struct
{
    /// <summary>Keys of a tile: a panel of their scores stays in the first-level cache.</summary>
    public const int Keys = 128;

    /// <summary>The width that rows of heads are filled up to with zeros.</summary>
    public static int Pitch(int dimension) =>
        (dimension + GemmMicroKernel<TWide, TVector>.Columns - 1) / GemmMicroKernel<TWide, TVector>.Columns
        * GemmMicroKernel<TWide, TVector>.Columns;

    /// <summary>Copies tokens of a head to rows without gaps, filled up with zeros.</summary>
    /// <param name="from">The first token.</param>
    /// <param name="stride">From one to the next.</param>
    /// <param name="count">How many tokens.</param>
    /// <param name="dimension">Numbers of each.</param>
    /// <param name="to">The rows.</param>
    /// <param name="pitch">Numbers of a row.</param>
    /// <param name="rows">Rows in all; those after the last token become 0.</param>
    /// <param name="scale">What numbers are multiplied by.</param>
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
    /// <param name="pitch">Numbers of a row.</param>
    /// <param name="count">How many.</param>
    /// <param name="dimension">Numbers of a token.</param>
    /// <param name="to">The first token.</param>
    /// <param name="stride">From one to the next.</param>
    /// <param name="scale">What numbers are multiplied by.</param>
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

    /// <summary>A panel's rows become columns: [columns of a panel, pitch] to [pitch, columns of a panel].</summary>
    public static void Transpose(float* rows, int pitch, float* panel)
    {
        int columns = GemmMicroKernel<TWide, TVector>.Columns;
        for (int d = 0; d < pitch; d += TWide.Count)
            for (int row = 0; row < columns; row += TWide.Count)
                TWide.Transpose(rows + (long)row * pitch + d, pitch, panel + (long)d * columns + row, columns);
    }

    /// <summary>Rows times a matrix that is as many panels wide as it takes: c (+)= a · b.</summary>
    /// <param name="a">[rows, depth]</param>
    /// <param name="rowStride">From one of its rows to the next.</param>
    /// <param name="stepStride">From one of its columns to the next.</param>
    /// <param name="b">[depth, pitch]</param>
    /// <param name="c">[rows, pitch]</param>
    /// <param name="rows">Rows.</param>
    /// <param name="depth">What is summed over.</param>
    /// <param name="pitch">Columns of b and c.</param>
    /// <param name="adds">Whether c keeps what it holds.</param>
    public static void Product(
        float* a, long rowStride, long stepStride, float* b, float* c, int rows, int depth, int pitch, bool adds)
    {
        for (int column = 0; column < pitch; column += GemmMicroKernel<TWide, TVector>.Columns)
            GemmMicroKernel<TWide, TVector>.Multiply(
                a, rowStride, stepStride, b + column, pitch, c + column, pitch, rows, depth, adds);
    }

    /// <summary>Fills the scores of keys that queries do not see.</summary>
    /// <param name="scores">[keys, columns of a panel]</param>
    /// <param name="keys">How many keys.</param>
    /// <param name="distance">The first key's position less the first query's.</param>
    /// <param name="back">How far back queries see.</param>
    /// <param name="ahead">How far ahead they see.</param>
    /// <param name="value">What is filled in.</param>
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

    /// <summary>Which of a sequence's keys the queries of a panel see, as far as whole fours go.</summary>
    /// <param name="distance">The first key's position less the first query's.</param>
    /// <param name="keys">Keys of the sequence.</param>
    /// <param name="queries">Queries of the panel.</param>
    /// <param name="back">How far back queries see.</param>
    /// <param name="ahead">How far ahead they see.</param>
    /// <returns>The first, a multiple of 4, and the one after the last.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (int First, int End) Seen(int distance, int keys, int queries, int back, int ahead) =>
        (Math.Max(0, -distance - back) & ~3, Math.Min(keys, queries + ahead - distance));
}
