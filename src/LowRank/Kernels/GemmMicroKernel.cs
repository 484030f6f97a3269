using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace LowRank.Kernels;

/// <summary>Multiplies rows of a matrix by a panel of another that is two vectors wide, with all results of a group of
/// rows in registers: 12 rows if there are 32 registers (AVX-512), otherwise 6.</summary>
/// <typeparam name="TWide">Arithmetic on vectors.</typeparam>
/// <typeparam name="TVector">A vector.</typeparam>
internal static unsafe class GemmMicroKernel<TWide, TVector>
    where TWide : struct, IWide<TVector>
    where TVector : struct
{
    private const int Most = 12;

    /// <summary>Number of columns in a panel.</summary>
    public static int Columns
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => 2 * TWide.Count;
    }

    /// <summary>c (+)= a · panel (+ bias).</summary>
    /// <param name="a">The left matrix, [rows, depth].</param>
    /// <param name="rowStride">Its stride between rows.</param>
    /// <param name="stepStride">Its stride between columns.</param>
    /// <param name="panel">[depth, <see cref="Columns"/>]; fastest if rows are aligned to 64 bytes.</param>
    /// <param name="pitch">The panel's stride between rows.</param>
    /// <param name="c">The result, [rows, <see cref="Columns"/>].</param>
    /// <param name="resultStride">The result's stride between rows.</param>
    /// <param name="rows">Number of rows; fastest if it is a multiple of 4.</param>
    /// <param name="depth">Length of the sums; the order of summation does not depend on how many rows are computed at
    /// once.</param>
    /// <param name="start">Whether to add to the contents of c.</param>
    /// <param name="bias">[<see cref="Columns"/>], added to each row; null for none.</param>
    public static void Multiply(float* a, long rowStride, long stepStride, float* panel, long pitch, float* c,
        long resultStride, int rows, int depth, bool start, float* bias = null)
    {
        int row = 0;
        if (TWide.HasManyRegisters)
            for (; row + Most <= rows; row += Most)
                Twelve(a + row * rowStride, rowStride, stepStride, panel, pitch, c + row * resultStride, resultStride,
                    depth, start, bias);
        else
            for (int end = EndOfSixes(rows); row < end; row += 6)
                Six(a + row * rowStride, rowStride, stepStride, panel, pitch, c + row * resultStride, resultStride,
                    depth, start, bias);
        for (; row + 4 <= rows; row += 4)
            Four(a + row * rowStride, rowStride, stepStride, panel, pitch, c + row * resultStride, resultStride,
                depth, start, bias);
        for (; row < rows; row++)
            One(a + row * rowStride, stepStride, panel, pitch, c + row * resultStride, depth, start, bias);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Twelve(float* a, long r, long stepStride, float* panel, long pitch, float* c, long resultStride,
        int depth, bool start, float* bias)
    {
        TVector c00 = default, c01 = default, c10 = default, c11 = default, c20 = default, c21 = default, c30 = default,
            c31 = default;
        TVector c40 = default, c41 = default, c50 = default, c51 = default, c60 = default, c61 = default, c70 = default,
            c71 = default;
        TVector c80 = default, c81 = default, c90 = default, c91 = default, ca0 = default, ca1 = default, cb0 = default,
            cb1 = default;
        float* a3 = a + 3 * r, a6 = a + 6 * r, a9 = a + 9 * r;
        long r2 = 2 * r;
        for (int k = 0; k < depth; k++)
        {
            TVector b0 = TWide.Load(panel), b1 = TWide.Load(panel + TWide.Count), x = TWide.Broadcast(a[0]);
            panel += pitch;
            (c00, c01) = (TWide.MultiplyAdd(x, b0, c00), TWide.MultiplyAdd(x, b1, c01));
            x = TWide.Broadcast(a[r]);
            (c10, c11) = (TWide.MultiplyAdd(x, b0, c10), TWide.MultiplyAdd(x, b1, c11));
            x = TWide.Broadcast(a[r2]);
            (c20, c21) = (TWide.MultiplyAdd(x, b0, c20), TWide.MultiplyAdd(x, b1, c21));
            x = TWide.Broadcast(a3[0]);
            (c30, c31) = (TWide.MultiplyAdd(x, b0, c30), TWide.MultiplyAdd(x, b1, c31));
            x = TWide.Broadcast(a3[r]);
            (c40, c41) = (TWide.MultiplyAdd(x, b0, c40), TWide.MultiplyAdd(x, b1, c41));
            x = TWide.Broadcast(a3[r2]);
            (c50, c51) = (TWide.MultiplyAdd(x, b0, c50), TWide.MultiplyAdd(x, b1, c51));
            x = TWide.Broadcast(a6[0]);
            (c60, c61) = (TWide.MultiplyAdd(x, b0, c60), TWide.MultiplyAdd(x, b1, c61));
            x = TWide.Broadcast(a6[r]);
            (c70, c71) = (TWide.MultiplyAdd(x, b0, c70), TWide.MultiplyAdd(x, b1, c71));
            x = TWide.Broadcast(a6[r2]);
            (c80, c81) = (TWide.MultiplyAdd(x, b0, c80), TWide.MultiplyAdd(x, b1, c81));
            x = TWide.Broadcast(a9[0]);
            (c90, c91) = (TWide.MultiplyAdd(x, b0, c90), TWide.MultiplyAdd(x, b1, c91));
            x = TWide.Broadcast(a9[r]);
            (ca0, ca1) = (TWide.MultiplyAdd(x, b0, ca0), TWide.MultiplyAdd(x, b1, ca1));
            x = TWide.Broadcast(a9[r2]);
            (cb0, cb1) = (TWide.MultiplyAdd(x, b0, cb0), TWide.MultiplyAdd(x, b1, cb1));
            a += stepStride;
            a3 += stepStride;
            a6 += stepStride;
            a9 += stepStride;
        }
        Finish(c, c00, c01, start, bias);
        Finish(c += resultStride, c10, c11, start, bias);
        Finish(c += resultStride, c20, c21, start, bias);
        Finish(c += resultStride, c30, c31, start, bias);
        Finish(c += resultStride, c40, c41, start, bias);
        Finish(c += resultStride, c50, c51, start, bias);
        Finish(c += resultStride, c60, c61, start, bias);
        Finish(c += resultStride, c70, c71, start, bias);
        Finish(c += resultStride, c80, c81, start, bias);
        Finish(c += resultStride, c90, c91, start, bias);
        Finish(c += resultStride, ca0, ca1, start, bias);
        Finish(c + resultStride, cb0, cb1, start, bias);
    }

    // As many groups of six as leave a multiple of four; two groups of four if groups of six alone would leave two
    // rows.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int EndOfSixes(int rows) => rows < 6 ? 0 : rows - (rows % 6 is 2 ? 8 : rows % 6);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Six(float* a, long r, long stepStride, float* panel, long pitch, float* c, long resultStride,
        int depth, bool start, float* bias)
    {
        TVector c00 = default, c01 = default, c10 = default, c11 = default, c20 = default, c21 = default;
        TVector c30 = default, c31 = default, c40 = default, c41 = default, c50 = default, c51 = default;
        float* a3 = a + 3 * r;
        for (int k = 0; k < depth; k++)
        {
            TVector b0 = TWide.Load(panel), b1 = TWide.Load(panel + TWide.Count), x = TWide.Broadcast(a[0]);
            panel += pitch;
            (c00, c01) = (TWide.MultiplyAdd(x, b0, c00), TWide.MultiplyAdd(x, b1, c01));
            x = TWide.Broadcast(a[r]);
            (c10, c11) = (TWide.MultiplyAdd(x, b0, c10), TWide.MultiplyAdd(x, b1, c11));
            x = TWide.Broadcast(a[2 * r]);
            (c20, c21) = (TWide.MultiplyAdd(x, b0, c20), TWide.MultiplyAdd(x, b1, c21));
            x = TWide.Broadcast(a3[0]);
            (c30, c31) = (TWide.MultiplyAdd(x, b0, c30), TWide.MultiplyAdd(x, b1, c31));
            x = TWide.Broadcast(a3[r]);
            (c40, c41) = (TWide.MultiplyAdd(x, b0, c40), TWide.MultiplyAdd(x, b1, c41));
            x = TWide.Broadcast(a3[2 * r]);
            (c50, c51) = (TWide.MultiplyAdd(x, b0, c50), TWide.MultiplyAdd(x, b1, c51));
            a += stepStride;
            a3 += stepStride;
        }
        Finish(c, c00, c01, start, bias);
        Finish(c += resultStride, c10, c11, start, bias);
        Finish(c += resultStride, c20, c21, start, bias);
        Finish(c += resultStride, c30, c31, start, bias);
        Finish(c += resultStride, c40, c41, start, bias);
        Finish(c + resultStride, c50, c51, start, bias);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Four(float* a, long r, long stepStride, float* panel, long pitch, float* c, long resultStride,
        int depth, bool start, float* bias)
    {
        TVector c00 = default, c01 = default, c10 = default, c11 = default, c20 = default, c21 = default, c30 = default,
            c31 = default;
        for (int k = 0; k < depth; k++)
        {
            TVector b0 = TWide.Load(panel), b1 = TWide.Load(panel + TWide.Count), x = TWide.Broadcast(a[0]);
            panel += pitch;
            (c00, c01) = (TWide.MultiplyAdd(x, b0, c00), TWide.MultiplyAdd(x, b1, c01));
            x = TWide.Broadcast(a[r]);
            (c10, c11) = (TWide.MultiplyAdd(x, b0, c10), TWide.MultiplyAdd(x, b1, c11));
            x = TWide.Broadcast(a[2 * r]);
            (c20, c21) = (TWide.MultiplyAdd(x, b0, c20), TWide.MultiplyAdd(x, b1, c21));
            x = TWide.Broadcast(a[3 * r]);
            (c30, c31) = (TWide.MultiplyAdd(x, b0, c30), TWide.MultiplyAdd(x, b1, c31));
            a += stepStride;
        }
        Finish(c, c00, c01, start, bias);
        Finish(c + resultStride, c10, c11, start, bias);
        Finish(c + 2 * resultStride, c20, c21, start, bias);
        Finish(c + 3 * resultStride, c30, c31, start, bias);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void One(
        float* a, long stepStride, float* panel, long pitch, float* c, int depth, bool start, float* bias)
    {
        TVector c0 = default, c1 = default;
        for (int k = 0; k < depth; k++)
        {
            TVector x = TWide.Broadcast(*a);
            (c0, c1) = (TWide.MultiplyAdd(x, TWide.Load(panel), c0),
                TWide.MultiplyAdd(x, TWide.Load(panel + TWide.Count), c1));
            panel += pitch;
            a += stepStride;
        }
        Finish(c, c0, c1, start, bias);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Finish(float* c, TVector low, TVector high, bool start, float* bias)
    {
        if (start) (low, high) = (TWide.Add(low, TWide.Load(c)), TWide.Add(high, TWide.Load(c + TWide.Count)));
        if (bias is not null)
            (low, high) = (TWide.Add(low, TWide.Load(bias)), TWide.Add(high, TWide.Load(bias + TWide.Count)));
        TWide.Store(c, low);
        TWide.Store(c + TWide.Count, high);
    }
}

/// <summary>The innermost part of a matrix product: multiplies a few rows of the left matrix by a panel of the right
/// one that is two vectors wide, with all results in registers, even if fewer columns are valid.</summary>
internal static unsafe class GemmPanel<TWide, TVector>
    where TWide : struct, IWide<TVector>
    where TVector : struct
{
    /// <summary>Number of columns in a panel.</summary>
    public static int Columns
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => 2 * TWide.Count;
    }

    private static int Rows => TWide.HasManyRegisters ? 12 : 6; // computed at once

    /// <summary>c (+)= a · panel (+ bias).</summary>
    /// <param name="a">The left matrix, [rows, depth], with contiguous rows.</param>
    /// <param name="stride">Its stride between rows.</param>
    /// <param name="panel">[depth, <see cref="Columns"/>], contiguous, aligned to 64 bytes.</param>
    /// <param name="c">The result, [rows, columns].</param>
    /// <param name="resultStride">The result's stride between rows.</param>
    /// <param name="rows">Number of rows.</param>
    /// <param name="columns">Number of valid columns in the panel.</param>
    /// <param name="depth">Length of the sums.</param>
    /// <param name="block">Number of products that are summed before they are added to the result.</param>
    /// <param name="start">Whether to add to the contents of c.</param>
    /// <param name="bias">Values added to each row, of which the first <paramref name="columns"/> are read; null for
    /// none.</param>
    public static void Multiply(float* a, long stride, float* panel, float* c, long resultStride,
        int rows, int columns, int depth, int block, bool start, float* bias)
    {
        if (columns < Columns)
        {
            Edge(a, stride, panel, c, resultStride, rows, columns, depth, block, start, bias);
            return;
        }
        // The results of a group of rows stay in the first-level cache from block to block.
        int group = block < depth ? Rows : rows;
        for (int row = 0; row < rows; row += group)
            for (int k = 0; k < depth; k += block)
                GemmMicroKernel<TWide, TVector>.Multiply(
                    a + row * stride + k, stride, 1, panel + k * Columns, Columns, c + row * resultStride,
                    resultStride, Math.Min(group, rows - row), Math.Min(block, depth - k), start || k > 0,
                    k == 0 ? bias : null);
    }

    // With fewer valid columns, the result is computed in a buffer, and the valid columns are copied.
    private static void Edge(float* a, long stride, float* panel, float* c, long resultStride,
        int rows, int columns, int depth, int block, bool start, float* bias)
    {
        float* whole = stackalloc float[12 * Columns];
        float* wholeBias = stackalloc float[Columns];
        for (int i = 0; i < Columns; i++) wholeBias[i] = bias is not null && i < columns ? bias[i] : 0;
        for (int row = 0; row < rows; row += Rows)
        {
            int count = Math.Min(Rows, rows - row);
            for (int k = 0; k < depth; k += block)
            {
                bool isFirst = k == 0;
                if (isFirst && start) Copy(c + row * resultStride, resultStride, whole, Columns, count, columns);
                GemmMicroKernel<TWide, TVector>.Multiply(
                    a + row * stride + k, stride, 1, panel + k * Columns, Columns, whole, Columns, count,
                    Math.Min(block, depth - k), start || !isFirst, isFirst && bias is not null ? wholeBias : null);
            }
            Copy(whole, Columns, c + row * resultStride, resultStride, count, columns);
        }
    }

    private static void Copy(float* from, long fromStride, float* to, long toStride, int rows, int columns)
    {
        for (int row = 0; row < rows; row++)
            new ReadOnlySpan<float>(from + row * fromStride, columns)
                .CopyTo(new Span<float>(to + row * toStride, columns));
    }
}
