using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace LowRank.Kernels;

/// <summary>Copies parts of a matrix into panels of 32 columns for <see cref="GemmPanel"/>: [depth, 32], padded with
/// zeros.</summary>
internal static unsafe class GemmPacking
{
    private const int Columns = GemmPanel.Columns;
    private const int Lanes = 16;

    /// <summary>Packs one panel.</summary>
    /// <param name="matrix">The panel's first element, of a matrix [depth, columns].</param>
    /// <param name="rowStride">Stride between rows; 1 if the matrix is stored transposed.</param>
    /// <param name="columnStride">Stride between columns; 1 unless it is stored transposed.</param>
    /// <param name="depth">Number of rows.</param>
    /// <param name="columns">Number of columns of the matrix in this panel, at most 32.</param>
    /// <param name="panel">Receives the packed panel.</param>
    public static void Pack(float* matrix, long rowStride, long columnStride, int depth, int columns, float* panel)
    {
        if (columns < Columns || (columnStride != 1 && rowStride != 1))
        {
            PackEdge(matrix, rowStride, columnStride, depth, columns, panel);
            return;
        }
        if (columnStride == 1) PackRows(matrix, rowStride, depth, panel);
        else PackColumns(matrix, columnStride, depth, panel);
    }

    private static void PackRows(float* matrix, long rowStride, int depth, float* panel)
    {
        for (int k = 0; k < depth; k++)
        {
            Vector512.Load(matrix).StoreAligned(panel);
            Vector512.Load(matrix + Lanes).StoreAligned(panel + Lanes);
            matrix += rowStride;
            panel += Columns;
        }
    }

    private static void PackColumns(float* matrix, long columnStride, int depth, float* panel)
    {
        int k = 0;
        for (; k + Lanes <= depth; k += Lanes)
        {
            Transpose(matrix + k, columnStride, panel + (long)k * Columns, Columns);
            Transpose(matrix + k + Lanes * columnStride, columnStride, panel + (long)k * Columns + Lanes, Columns);
        }
        for (; k < depth; k++)
            for (int j = 0; j < Columns; j++) panel[(long)k * Columns + j] = matrix[k + j * columnStride];
    }

    private static void PackEdge(float* matrix, long rowStride, long columnStride, int depth, int columns, float* panel)
    {
        for (int k = 0; k < depth; k++)
            for (int j = 0; j < Columns; j++)
                panel[(long)k * Columns + j] = j < columns ? matrix[k * rowStride + j * columnStride] : 0;
    }

    /// <summary>Transposes 16 rows of 16 elements: swaps pairs, then groups of four, then quarters of
    /// registers.</summary>
    /// <param name="rows">The rows.</param>
    /// <param name="stride">Stride between rows.</param>
    /// <param name="target">Receives the transposed rows, aligned to 64 bytes.</param>
    /// <param name="targetStride">Stride between rows of the target.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Transpose(float* rows, long stride, float* target, long targetStride)
    {
        Vector512<float>* t = stackalloc Vector512<float>[16];
        Vector512<float>* u = stackalloc Vector512<float>[16];
        for (int i = 0; i < 16; i += 2)
        {
            Vector512<float> first = Vector512.Load(rows + i * stride),
                second = Vector512.Load(rows + (i + 1) * stride);
            t[i] = Avx512F.UnpackLow(first, second);
            t[i + 1] = Avx512F.UnpackHigh(first, second);
        }
        for (int i = 0; i < 16; i += 4)
        {
            u[i] = Avx512F.UnpackLow(t[i].AsDouble(), t[i + 2].AsDouble()).AsSingle();
            u[i + 1] = Avx512F.UnpackHigh(t[i].AsDouble(), t[i + 2].AsDouble()).AsSingle();
            u[i + 2] = Avx512F.UnpackLow(t[i + 1].AsDouble(), t[i + 3].AsDouble()).AsSingle();
            u[i + 3] = Avx512F.UnpackHigh(t[i + 1].AsDouble(), t[i + 3].AsDouble()).AsSingle();
        }
        for (int i = 0; i < 4; i++)
        {
            t[i] = Avx512F.Shuffle4x128(u[i], u[i + 4], 0x88);
            t[i + 4] = Avx512F.Shuffle4x128(u[i], u[i + 4], 0xdd);
            t[i + 8] = Avx512F.Shuffle4x128(u[i + 8], u[i + 12], 0x88);
            t[i + 12] = Avx512F.Shuffle4x128(u[i + 8], u[i + 12], 0xdd);
        }
        for (int i = 0; i < 8; i++)
        {
            Avx512F.Shuffle4x128(t[i], t[i + 8], 0x88).StoreAligned(target + i * targetStride);
            Avx512F.Shuffle4x128(t[i], t[i + 8], 0xdd).StoreAligned(target + (i + 8) * targetStride);
        }
    }
}

/// <summary>The packing of a slice of a product's right matrix, in parts for threads.</summary>
[StructLayout(LayoutKind.Auto)]
internal unsafe struct GemmPackingTask
{
    public float* B;
    public long RowStride;
    public long ColumnStride;
    public float* Panels;
    public int Depth;
    public int Columns;
    public int PartPanels;

    /// <summary>Packs the panels of a part.</summary>
    public static void Part(void* shared, int part)
    {
        GemmPackingTask task = *(GemmPackingTask*)shared;
        int last = Math.Min((part + 1) * task.PartPanels * GemmPanel.Columns, task.Columns);
        for (int first = part * task.PartPanels * GemmPanel.Columns; first < last; first += GemmPanel.Columns)
            GemmPacking.Pack(task.B + first * task.ColumnStride, task.RowStride, task.ColumnStride, task.Depth,
                Math.Min(GemmPanel.Columns, task.Columns - first), task.Panels + (long)first * task.Depth);
    }
}

/// <summary>Transposes small squares of elements.</summary>
internal static unsafe class SmallTranspose
{
    /// <summary>Transposes a square of 8 with AVX: swaps pairs, then groups of four, then halves of
    /// registers.</summary>
    /// <param name="rows">The rows.</param>
    /// <param name="stride">Stride between rows.</param>
    /// <param name="target">Receives the transposed rows.</param>
    /// <param name="targetStride">Stride between rows of the target.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Eight(float* rows, long stride, float* target, long targetStride)
    {
        Vector256<float>* t = stackalloc Vector256<float>[8];
        for (int i = 0; i < 8; i += 2)
        {
            Vector256<float> first = Vector256.Load(rows + i * stride),
                second = Vector256.Load(rows + (i + 1) * stride);
            (t[i], t[i + 1]) = (Avx.UnpackLow(first, second), Avx.UnpackHigh(first, second));
        }
        for (int i = 0; i < 2; i++)
        {
            Vector256<double> a = t[i].AsDouble(), b = t[i + 2].AsDouble(), c = t[i + 4].AsDouble(),
                d = t[i + 6].AsDouble();
            Vector256<float> low = Avx.UnpackLow(a, b).AsSingle(), lowAfter = Avx.UnpackLow(c, d).AsSingle();
            Vector256<float> high = Avx.UnpackHigh(a, b).AsSingle(), highAfter = Avx.UnpackHigh(c, d).AsSingle();
            float* to = target + 2 * i * targetStride;
            Avx.Permute2x128(low, lowAfter, 0x20).Store(to);
            Avx.Permute2x128(high, highAfter, 0x20).Store(to + targetStride);
            Avx.Permute2x128(low, lowAfter, 0x31).Store(to + 4 * targetStride);
            Avx.Permute2x128(high, highAfter, 0x31).Store(to + 5 * targetStride);
        }
    }

    /// <summary>Transposes a square of any size, element by element.</summary>
    /// <param name="rows">The rows.</param>
    /// <param name="stride">Stride between rows.</param>
    /// <param name="target">Receives the transposed rows.</param>
    /// <param name="targetStride">Stride between rows of the target.</param>
    /// <param name="size">Number of rows and columns.</param>
    public static void Plain(float* rows, long stride, float* target, long targetStride, int size)
    {
        for (int i = 0; i < size; i++)
            for (int j = 0; j < size; j++) target[j * targetStride + i] = rows[i * stride + j];
    }
}
