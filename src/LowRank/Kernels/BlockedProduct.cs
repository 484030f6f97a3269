using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using LowRank.Kernels.Native;

namespace LowRank.Kernels;

/// <summary>A slice of a product with a packed right matrix, in parts for threads.</summary>
[StructLayout(LayoutKind.Auto)]
internal unsafe struct GemmTask<TWide, TVector>
    where TWide : struct, IWide<TVector>
    where TVector : struct
{
    public float* A;
    public long AStride;
    public float* Panels;
    public float* C;
    public long CStride;
    public int Rows;
    public int Columns;
    public int Depth;
    public int Block;
    public bool Adds;
    public float* Bias;
    public int RowParts;
    public int PartRows;
    public int PartPanels;

    /// <summary>Computes some rows of some panels. Neighbouring parts share their panels.</summary>
    public static void Part(void* shared, int part)
    {
        GemmTask<TWide, TVector> task = *(GemmTask<TWide, TVector>*)shared;
        task.Run(part % task.RowParts * task.PartRows, part / task.RowParts * task.PartPanels);
    }

    private readonly void Run(int firstRow, int firstPanel)
    {
        int rows = Math.Min(PartRows, Rows - firstRow), width = GemmPanel<TWide, TVector>.Columns;
        for (int panel = firstPanel; panel < firstPanel + PartPanels && panel * width < Columns; panel++)
        {
            int column = panel * width;
            GemmPanel<TWide, TVector>.Multiply(
                A + firstRow * AStride, AStride, Panels + (long)column * Depth, C + firstRow * CStride + column,
                CStride, rows, Math.Min(width, Columns - column), Depth, Block, Adds,
                Bias is null ? null : Bias + column);
        }
    }
}

/// <summary>A product of float32 matrices, blocked for the caches after Goto and van de Geijn (ACM TOMS 34(3),
/// 2008).</summary>
internal static unsafe class BlockedProduct
{
    private const int MostDepth = 384;       // of a panel: two vectors of it are the first-level cache
    private const int MostColumns = 3072;    // packed at a time: stays in the last-level cache
    private const int TaskRows = 96;         // of a task
    private const int TaskPanels = 8;        // of a task: stay in the second-level cache
    private const int PackedPanels = 8;      // packed by a thread at a time

    /// <summary>c (+)= a · b (+ bias).</summary>
    /// <param name="a">[rows, depth], with contiguous rows.</param>
    /// <param name="aStride">The stride between rows of a.</param>
    /// <param name="b">[depth, columns].</param>
    /// <param name="bRowStride">The stride between rows of b.</param>
    /// <param name="bColumnStride">The stride between columns of b; one of the two strides is 1.</param>
    /// <param name="c">[rows, columns], with contiguous rows.</param>
    /// <param name="cStride">The stride between rows of c.</param>
    /// <param name="rows">Number of rows in a and c.</param>
    /// <param name="depth">Number of columns in a and rows in b.</param>
    /// <param name="columns">Number of columns in b and c.</param>
    /// <param name="adds">Whether to add to the contents of c.</param>
    /// <param name="bias">[columns], added to each row; null for none.</param>
    /// <param name="inBlocks">Whether the sums run in the order of <see cref="ProductByColumns{TWide, TVector}"/>; the
    /// other order is a little faster.</param>
    public static void Multiply(float* a, long aStride, float* b, long bRowStride, long bColumnStride, float* c,
        long cStride, int rows, int depth, int columns, bool adds, float* bias, bool inBlocks = false)
    {
        if (Vector512.IsHardwareAccelerated)
            Multiply<Wide512, Vector512<float>>(
                a, aStride, b, bRowStride, bColumnStride, c, cStride, rows, depth, columns, adds, bias, inBlocks);
        else
            Multiply<Wide256, Vector256<float>>(
                a, aStride, b, bRowStride, bColumnStride, c, cStride, rows, depth, columns, adds, bias, inBlocks);
    }

    private static void Multiply<TWide, TVector>(float* a, long aStride, float* b, long bRowStride, long bColumnStride,
        float* c, long cStride, int rows, int depth, int columns, bool adds, float* bias, bool inBlocks)
        where TWide : struct, IWide<TVector>
        where TVector : struct
    {
        int steps = LinearProduct.Ceiling(depth, MostDepth), deep = LinearProduct.Ceiling(depth, steps),
            width = GemmPanel<TWide, TVector>.Columns;
        if (inBlocks) deep = LinearProduct.Ceiling(deep, LinearProduct.Block) * LinearProduct.Block;
        for (int column = 0; column < columns; column += MostColumns)
        {
            int wide = Math.Min(MostColumns, columns - column), panels = LinearProduct.Ceiling(wide, width);
            float* packed = ScratchMemory.Floats(panels * width * Math.Min(deep, depth));
            for (int k = 0; k < depth; k += deep)
            {
                int slice = Math.Min(deep, depth - k);
                var packing = new GemmPacking<TWide, TVector>
                {
                    Matrix = b + k * bRowStride + column * bColumnStride, RowStride = bRowStride,
                    ColumnStride = bColumnStride, Panels = packed, Depth = slice, Columns = wide,
                    PartPanels = PackedPanels,
                };
                Workers.Run(LinearProduct.Ceiling(panels, PackedPanels), &GemmPacking<TWide, TVector>.Part, &packing);
                var task = new GemmTask<TWide, TVector>
                {
                    A = a + k, AStride = aStride, Panels = packed, C = c + column, CStride = cStride, Rows = rows,
                    Columns = wide, Depth = slice, Block = inBlocks ? LinearProduct.Block : slice, Adds = adds || k > 0,
                    Bias = bias is null || k > 0 ? null : bias + column,
                    RowParts = LinearProduct.Ceiling(rows, TaskRows), PartRows = TaskRows, PartPanels = TaskPanels,
                };
                Workers.Run(task.RowParts * LinearProduct.Ceiling(panels, TaskPanels),
                    &GemmTask<TWide, TVector>.Part, &task);
            }
        }
    }
}
