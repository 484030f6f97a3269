using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace LowRank.Kernels;

/// <summary>Copies a slice of a product's right matrix into panels for <see cref="GemmPanel{TWide, TVector}"/>: [depth,
/// two vectors], padded with zeros; in parts for threads.</summary>
[StructLayout(LayoutKind.Auto)]
internal unsafe struct GemmPacking<TWide, TVector>
    where TWide : struct, IWide<TVector>
    where TVector : struct
{
    /// <summary>The slice's first element, of a matrix [depth, columns].</summary>
    public float* Matrix;

    /// <summary>Stride between rows; 1 if the matrix is stored transposed.</summary>
    public long RowStride;

    /// <summary>Stride between columns; 1 unless it is stored transposed.</summary>
    public long ColumnStride;

    /// <summary>Receives the packed panels, one after the other.</summary>
    public float* Panels;

    /// <summary>Number of rows.</summary>
    public int Depth;

    /// <summary>Number of columns.</summary>
    public int Columns;

    /// <summary>Number of panels per part.</summary>
    public int PartPanels;

    private static int Width => GemmPanel<TWide, TVector>.Columns;

    /// <summary>Packs the panels of a part.</summary>
    public static void Part(void* shared, int part)
    {
        GemmPacking<TWide, TVector> task = *(GemmPacking<TWide, TVector>*)shared;
        int last = Math.Min((part + 1) * task.PartPanels * Width, task.Columns);
        for (int first = part * task.PartPanels * Width; first < last; first += Width) task.Pack(first);
    }

    private readonly void Pack(int first)
    {
        float* from = Matrix + first * ColumnStride, panel = Panels + (long)first * Depth;
        int columns = Math.Min(Width, Columns - first);
        if (columns < Width || (ColumnStride != 1 && RowStride != 1)) PackEdge(from, columns, panel);
        else if (ColumnStride == 1) PackRows(from, panel);
        else PackColumns(from, panel);
    }

    private readonly void PackRows(float* from, float* panel)
    {
        for (int k = 0; k < Depth; k++)
        {
            TWide.Store(panel, TWide.Load(from));
            TWide.Store(panel + TWide.Count, TWide.Load(from + TWide.Count));
            from += RowStride;
            panel += Width;
        }
    }

    private readonly void PackColumns(float* from, float* panel)
    {
        int k = 0;
        for (; k + TWide.Count <= Depth; k += TWide.Count)
        {
            float* to = panel + (long)k * Width;
            TWide.Transpose(from + k, ColumnStride, to, Width);
            TWide.Transpose(from + k + TWide.Count * ColumnStride, ColumnStride, to + TWide.Count, Width);
        }
        for (; k < Depth; k++)
            for (int j = 0; j < Width; j++) panel[(long)k * Width + j] = from[k + j * ColumnStride];
    }

    private readonly void PackEdge(float* from, int columns, float* panel)
    {
        for (int k = 0; k < Depth; k++)
            for (int j = 0; j < Width; j++)
                panel[(long)k * Width + j] = j < columns ? from[k * RowStride + j * ColumnStride] : 0;
    }
}

/// <summary>Transposes small squares of elements.</summary>
internal static unsafe class SmallTranspose
{
    /// <summary>Transposes 16 rows of 16 elements with AVX-512: swaps pairs, then groups of four, then quarters of
    /// registers.</summary>
    /// <param name="rows">The rows.</param>
    /// <param name="stride">Stride between rows.</param>
    /// <param name="target">Receives the transposed rows, aligned to 64 bytes.</param>
    /// <param name="targetStride">Stride between rows of the target.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Sixteen(float* rows, long stride, float* target, long targetStride)
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
