using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace LowRank.Tensors.Kernels;

/// <summary>The innermost part of a matrix product: a few rows of the left matrix times a panel of 32 columns of the right one,
/// all results in registers. Written for AVX-512, whose 32 registers of 16 numbers hold 12 rows.</summary>
internal static unsafe class PanelKernel
{
    /// <summary>Columns of a panel.</summary>
    public const int Columns = 32;

    /// <summary>Rows that are done at once; other counts are right too, and slower.</summary>
    public const int Rows = 12;

    private const int Lanes = 16;

    /// <summary>c (+)= a · panel (+ bias).</summary>
    /// <param name="a">The left matrix, [rows, depth].</param>
    /// <param name="rowStride">From one of its rows to the next.</param>
    /// <param name="stepStride">From one of its columns to the next.</param>
    /// <param name="panel">[depth, 32], without gaps, aligned to 64 bytes.</param>
    /// <param name="c">The result, [rows, columns].</param>
    /// <param name="resultStride">From one of its rows to the next.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="columns">Columns of the panel that count, at most 32.</param>
    /// <param name="depth">What is summed over.</param>
    /// <param name="start">Whether to begin with what is in c.</param>
    /// <param name="bias">32 numbers added to each row, of which <paramref name="columns"/> are read; null for none.</param>
    public static void Multiply(float* a, long rowStride, long stepStride, float* panel, float* c, long resultStride, int rows, int columns, int depth, bool start, float* bias)
    {
        if (columns < Columns)
        {
            Edge(a, rowStride, stepStride, panel, c, resultStride, rows, columns, depth, start, bias);
            return;
        }
        Whole(a, rowStride, stepStride, panel, c, resultStride, rows, depth, start, bias);
    }

    private static void Whole(float* a, long rowStride, long stepStride, float* panel, float* c, long resultStride, int rows, int depth, bool start, float* bias)
    {
        int row = 0;
        for (; row + Rows <= rows; row += Rows) Twelve(a + row * rowStride, rowStride, stepStride, panel, c + row * resultStride, resultStride, depth, start, bias);
        for (; row + 4 <= rows; row += 4) Four(a + row * rowStride, rowStride, stepStride, panel, c + row * resultStride, resultStride, depth, start, bias);
        for (; row < rows; row++) One(a + row * rowStride, stepStride, panel, c + row * resultStride, depth, start, bias);
    }

    // Where fewer than 32 columns count, the result is made beside and the columns that count are taken over.
    private static void Edge(float* a, long rowStride, long stepStride, float* panel, float* c, long resultStride, int rows, int columns, int depth, bool start, float* bias)
    {
        float* whole = stackalloc float[Rows * Columns];
        float* wholeBias = null;
        if (bias is not null)
        {
            float* room = stackalloc float[Columns];
            wholeBias = room;
            for (int i = 0; i < Columns; i++) wholeBias[i] = i < columns ? bias[i] : 0;
        }
        for (int row = 0; row < rows; row += Rows)
        {
            int count = Math.Min(Rows, rows - row);
            Whole(a + row * rowStride, rowStride, stepStride, panel, whole, Columns, count, depth, start: false, wholeBias);
            for (int i = 0; i < count; i++)
            {
                float* target = c + (row + i) * resultStride;
                for (int j = 0; j < columns; j++) target[j] = start ? target[j] + whole[i * Columns + j] : whole[i * Columns + j];
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Twelve(float* a, long r, long stepStride, float* panel, float* c, long resultStride, int depth, bool start, float* bias)
    {
        Vector512<float> c00 = default, c01 = default, c10 = default, c11 = default, c20 = default, c21 = default, c30 = default, c31 = default;
        Vector512<float> c40 = default, c41 = default, c50 = default, c51 = default, c60 = default, c61 = default, c70 = default, c71 = default;
        Vector512<float> c80 = default, c81 = default, c90 = default, c91 = default, ca0 = default, ca1 = default, cb0 = default, cb1 = default;
        float* a3 = a + 3 * r, a6 = a + 6 * r, a9 = a + 9 * r;
        long r2 = 2 * r;
        for (int k = 0; k < depth; k++)
        {
            Vector512<float> b0 = Vector512.LoadAligned(panel), b1 = Vector512.LoadAligned(panel + Lanes), x = Vector512.Create(a[0]);
            panel += Columns;
            (c00, c01) = (Vector512.FusedMultiplyAdd(x, b0, c00), Vector512.FusedMultiplyAdd(x, b1, c01));
            x = Vector512.Create(a[r]);
            (c10, c11) = (Vector512.FusedMultiplyAdd(x, b0, c10), Vector512.FusedMultiplyAdd(x, b1, c11));
            x = Vector512.Create(a[r2]);
            (c20, c21) = (Vector512.FusedMultiplyAdd(x, b0, c20), Vector512.FusedMultiplyAdd(x, b1, c21));
            x = Vector512.Create(a3[0]);
            (c30, c31) = (Vector512.FusedMultiplyAdd(x, b0, c30), Vector512.FusedMultiplyAdd(x, b1, c31));
            x = Vector512.Create(a3[r]);
            (c40, c41) = (Vector512.FusedMultiplyAdd(x, b0, c40), Vector512.FusedMultiplyAdd(x, b1, c41));
            x = Vector512.Create(a3[r2]);
            (c50, c51) = (Vector512.FusedMultiplyAdd(x, b0, c50), Vector512.FusedMultiplyAdd(x, b1, c51));
            x = Vector512.Create(a6[0]);
            (c60, c61) = (Vector512.FusedMultiplyAdd(x, b0, c60), Vector512.FusedMultiplyAdd(x, b1, c61));
            x = Vector512.Create(a6[r]);
            (c70, c71) = (Vector512.FusedMultiplyAdd(x, b0, c70), Vector512.FusedMultiplyAdd(x, b1, c71));
            x = Vector512.Create(a6[r2]);
            (c80, c81) = (Vector512.FusedMultiplyAdd(x, b0, c80), Vector512.FusedMultiplyAdd(x, b1, c81));
            x = Vector512.Create(a9[0]);
            (c90, c91) = (Vector512.FusedMultiplyAdd(x, b0, c90), Vector512.FusedMultiplyAdd(x, b1, c91));
            x = Vector512.Create(a9[r]);
            (ca0, ca1) = (Vector512.FusedMultiplyAdd(x, b0, ca0), Vector512.FusedMultiplyAdd(x, b1, ca1));
            x = Vector512.Create(a9[r2]);
            (cb0, cb1) = (Vector512.FusedMultiplyAdd(x, b0, cb0), Vector512.FusedMultiplyAdd(x, b1, cb1));
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

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Four(float* a, long r, long stepStride, float* panel, float* c, long resultStride, int depth, bool start, float* bias)
    {
        Vector512<float> c00 = default, c01 = default, c10 = default, c11 = default, c20 = default, c21 = default, c30 = default, c31 = default;
        for (int k = 0; k < depth; k++)
        {
            Vector512<float> b0 = Vector512.LoadAligned(panel), b1 = Vector512.LoadAligned(panel + Lanes), x = Vector512.Create(a[0]);
            panel += Columns;
            (c00, c01) = (Vector512.FusedMultiplyAdd(x, b0, c00), Vector512.FusedMultiplyAdd(x, b1, c01));
            x = Vector512.Create(a[r]);
            (c10, c11) = (Vector512.FusedMultiplyAdd(x, b0, c10), Vector512.FusedMultiplyAdd(x, b1, c11));
            x = Vector512.Create(a[2 * r]);
            (c20, c21) = (Vector512.FusedMultiplyAdd(x, b0, c20), Vector512.FusedMultiplyAdd(x, b1, c21));
            x = Vector512.Create(a[3 * r]);
            (c30, c31) = (Vector512.FusedMultiplyAdd(x, b0, c30), Vector512.FusedMultiplyAdd(x, b1, c31));
            a += stepStride;
        }
        Finish(c, c00, c01, start, bias);
        Finish(c + resultStride, c10, c11, start, bias);
        Finish(c + 2 * resultStride, c20, c21, start, bias);
        Finish(c + 3 * resultStride, c30, c31, start, bias);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void One(float* a, long stepStride, float* panel, float* c, int depth, bool start, float* bias)
    {
        Vector512<float> c0 = default, c1 = default;
        for (int k = 0; k < depth; k++)
        {
            Vector512<float> x = Vector512.Create(*a);
            (c0, c1) = (Vector512.FusedMultiplyAdd(x, Vector512.LoadAligned(panel), c0), Vector512.FusedMultiplyAdd(x, Vector512.LoadAligned(panel + Lanes), c1));
            panel += Columns;
            a += stepStride;
        }
        Finish(c, c0, c1, start, bias);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Finish(float* c, Vector512<float> low, Vector512<float> high, bool start, float* bias)
    {
        if (start) (low, high) = (low + Vector512.Load(c), high + Vector512.Load(c + Lanes));
        if (bias is not null) (low, high) = (low + Vector512.Load(bias), high + Vector512.Load(bias + Lanes));
        low.Store(c);
        high.Store(c + Lanes);
    }
}
