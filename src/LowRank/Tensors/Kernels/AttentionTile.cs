using System.Runtime.CompilerServices;

namespace LowRank.Tensors.Kernels;

/// <summary>What tiles of attention are made of. Queries stand in the columns of a panel, keys in its rows, so that the softmax
/// over keys goes along vectors and never across one.</summary>
/// <typeparam name="TWide">Arithmetic on vectors.</typeparam>
/// <typeparam name="TVector">A vector.</typeparam>
internal static unsafe class AttentionTile<TWide, TVector>
    where TWide : struct, IWide<TVector>
    where TVector : struct
{
    /// <summary>Keys of a tile: a panel of their scores stays in the first-level cache.</summary>
    public const int Keys = 128;

    /// <summary>The width that rows of heads are filled up to with zeros.</summary>
    public static int Pitch(int dimension) => (dimension + PanelRows<TWide, TVector>.Columns - 1) / PanelRows<TWide, TVector>.Columns * PanelRows<TWide, TVector>.Columns;

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
    public static void Gather(float* from, long stride, int count, int dimension, float* to, int pitch, int rows, float scale)
    {
        TVector factor = TWide.Broadcast(scale);
        int whole = dimension - dimension % TWide.Count;
        for (int row = 0; row < count; row++, from += stride, to += pitch)
        {
            for (int d = 0; d < whole; d += TWide.Count) TWide.Store(to + d, TWide.Multiply(TWide.Load(from + d), factor));
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
        for (; i + TWide.Count <= count; i += TWide.Count) TWide.Store(to + i, TWide.Multiply(TWide.Load(from + i), all));
        for (; i < count; i++) to[i] = from[i] * factor;
    }

    /// <summary>A panel's rows become columns: [columns of a panel, pitch] to [pitch, columns of a panel].</summary>
    public static void Transpose(float* rows, int pitch, float* panel)
    {
        int columns = PanelRows<TWide, TVector>.Columns;
        for (int d = 0; d < pitch; d += TWide.Count)
            for (int row = 0; row < columns; row += TWide.Count) TWide.Transpose(rows + (long)row * pitch + d, pitch, panel + (long)d * columns + row, columns);
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
    public static void Product(float* a, long rowStride, long stepStride, float* b, float* c, int rows, int depth, int pitch, bool adds)
    {
        for (int column = 0; column < pitch; column += PanelRows<TWide, TVector>.Columns)
            PanelRows<TWide, TVector>.Multiply(a, rowStride, stepStride, b + column, pitch, c + column, pitch, rows, depth, adds);
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
        int columns = PanelRows<TWide, TVector>.Columns;
        if (distance + keys - 1 <= ahead && distance + back >= columns - 1) return; // all see all
        for (int key = 0; key < keys; key++, scores += columns)
        {
            int first = Math.Clamp(distance + key - ahead, 0, columns), end = Math.Clamp(distance + key + back + 1, 0, columns);
            if (first > 0) new Span<float>(scores, first).Fill(value);
            if (end < columns) new Span<float>(scores + end, columns - end).Fill(value);
        }
    }

    /// <summary>Which of a text's keys the queries of a panel see, as far as whole fours go.</summary>
    /// <param name="distance">The first key's position less the first query's.</param>
    /// <param name="keys">Keys of the text.</param>
    /// <param name="queries">Queries of the panel.</param>
    /// <param name="back">How far back queries see.</param>
    /// <param name="ahead">How far ahead they see.</param>
    /// <returns>The first, a multiple of 4, and the one after the last.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (int First, int End) Seen(int distance, int keys, int queries, int back, int ahead) =>
        (Math.Max(0, -distance - back) & ~3, Math.Min(keys, queries + ahead - distance));
}
