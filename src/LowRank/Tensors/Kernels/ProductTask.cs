using System.Runtime.InteropServices;

namespace LowRank.Tensors.Kernels;

/// <summary>A slice of a product whose right matrix is packed: what threads take parts of.</summary>
[StructLayout(LayoutKind.Auto)]
internal unsafe struct ProductTask
{
    public float* A;
    public long AStride;
    public float* Panels;
    public float* C;
    public long CStride;
    public int Rows;
    public int Columns;
    public int Depth;
    public bool Adds;
    public float* Bias;
    public int RowParts;
    public int PartRows;
    public int PartPanels;

    /// <summary>Does some rows of some panels. Neighbouring parts share their panels.</summary>
    public static void Part(void* shared, int part)
    {
        ProductTask task = *(ProductTask*)shared;
        task.Run(part % task.RowParts * task.PartRows, part / task.RowParts * task.PartPanels);
    }

    private readonly void Run(int firstRow, int firstPanel)
    {
        int rows = Math.Min(PartRows, Rows - firstRow);
        for (int panel = firstPanel; panel < firstPanel + PartPanels && panel * PanelKernel.Columns < Columns; panel++)
        {
            int column = panel * PanelKernel.Columns;
            PanelKernel.Multiply(A + firstRow * AStride, AStride, 1, Panels + (long)column * Depth, C + firstRow * CStride + column, CStride,
                rows, Math.Min(PanelKernel.Columns, Columns - column), Depth, Adds, Bias is null ? null : Bias + column);
        }
    }
}
