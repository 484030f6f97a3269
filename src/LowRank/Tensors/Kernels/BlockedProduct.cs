using System.Runtime.Intrinsics.X86;
using LowRank.Tensors.Native;

namespace LowRank.Tensors.Kernels;

/// <summary>A product of float32 matrices with AVX-512, blocked for the caches after Goto and van de Geijn (ACM TOMS 34(3), 2008).</summary>
/// <remarks>libtorch multiplies with Intel's MKL, which leaves AVX-512 unused on processors of AMD. On Intel's, MKL uses it, and on
/// processors without AVX-512 there is nothing to gain: <see cref="IsFaster"/> says where.</remarks>
internal static unsafe class BlockedProduct
{
    private const int MostDepth = 384;       // of a panel: 32 columns of it are the first-level cache
    private const int MostColumns = 3072;    // packed at a time: stays in the last-level cache
    private const int TaskRows = 96;         // of a task
    private const int TaskPanels = 8;        // of a task: stay in the second-level cache
    private const int PackedPanels = 8;      // packed by a thread at a time

    /// <summary>Whether this processor multiplies faster here than in libtorch.</summary>
    public static bool IsFaster { get; } = Avx512F.IsSupported && Avx512DQ.IsSupported && IsAmd();

    /// <summary>c (+)= a · b (+ bias).</summary>
    /// <param name="a">[rows, depth], columns side by side.</param>
    /// <param name="aStride">From one of its rows to the next.</param>
    /// <param name="b">[depth, columns].</param>
    /// <param name="bRowStride">From one of its rows to the next.</param>
    /// <param name="bColumnStride">From one of its columns to the next; one of the two strides is 1.</param>
    /// <param name="c">[rows, columns], columns side by side.</param>
    /// <param name="cStride">From one of its rows to the next.</param>
    /// <param name="rows">Rows of a and c.</param>
    /// <param name="depth">Columns of a, rows of b.</param>
    /// <param name="columns">Columns of b and c.</param>
    /// <param name="adds">Whether c keeps what it holds.</param>
    /// <param name="bias">[columns], added to each row; null for none.</param>
    public static void Multiply(float* a, long aStride, float* b, long bRowStride, long bColumnStride, float* c, long cStride, int rows, int depth, int columns, bool adds, float* bias)
    {
        int steps = (depth + MostDepth - 1) / MostDepth, deep = (depth + steps - 1) / steps;
        for (int column = 0; column < columns; column += MostColumns)
        {
            int wide = Math.Min(MostColumns, columns - column), panels = (wide + PanelKernel.Columns - 1) / PanelKernel.Columns;
            float* packed = ScratchMemory.Floats(panels * PanelKernel.Columns * deep);
            for (int k = 0; k < depth; k += deep)
            {
                int slice = Math.Min(deep, depth - k);
                var packing = new PackingTask
                {
                    B = b + k * bRowStride + column * bColumnStride, RowStride = bRowStride, ColumnStride = bColumnStride,
                    Panels = packed, Depth = slice, Columns = wide, PartPanels = PackedPanels,
                };
                Workers.Run((panels + PackedPanels - 1) / PackedPanels, &PackingTask.Part, &packing);
                var task = new ProductTask
                {
                    A = a + k, AStride = aStride, Panels = packed, C = c + column, CStride = cStride, Rows = rows, Columns = wide, Depth = slice,
                    Adds = adds || k > 0, Bias = bias is null || k > 0 ? null : bias + column,
                    RowParts = (rows + TaskRows - 1) / TaskRows, PartRows = TaskRows, PartPanels = TaskPanels,
                };
                int columnParts = (panels + TaskPanels - 1) / TaskPanels;
                Workers.Run(task.RowParts * columnParts, &ProductTask.Part, &task);
            }
        }
    }

    // The vendor's name in EBX, EDX, ECX of leaf 0: AuthenticAMD.
    private static bool IsAmd()
    {
        (int _, int ebx, int ecx, int edx) = X86Base.CpuId(0, 0);
        return ebx == 0x68747541 && edx == 0x69746e65 && ecx == 0x444d4163;
    }
}
