using System.Runtime.Intrinsics;

namespace LowRank.Tensors.Kernels;

/// <summary>The innermost part of a matrix product with AVX-512: a few rows of the left matrix times a panel of 32 columns of the
/// right one, all results in registers, however many of the columns count.</summary>
internal static unsafe class PanelKernel
{
    /// <summary>Columns of a panel.</summary>
    public const int Columns = 32;

    /// <summary>Rows that are done at once; other counts are right too, and slower.</summary>
    public const int Rows = 12;

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
        PanelRows<Wide512, Vector512<float>>.Multiply(a, rowStride, stepStride, panel, Columns, c, resultStride, rows, depth, start, bias);
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
            PanelRows<Wide512, Vector512<float>>.Multiply(a + row * rowStride, rowStride, stepStride, panel, Columns, whole, Columns, count, depth, start: false, wholeBias);
            for (int i = 0; i < count; i++)
            {
                float* target = c + (row + i) * resultStride;
                for (int j = 0; j < columns; j++) target[j] = start ? target[j] + whole[i * Columns + j] : whole[i * Columns + j];
            }
        }
    }
}
