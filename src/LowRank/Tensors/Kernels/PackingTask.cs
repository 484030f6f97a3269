using System.Runtime.InteropServices;

namespace LowRank.Tensors.Kernels;

/// <summary>The packing of a slice of a product's right matrix: what threads take parts of.</summary>
[StructLayout(LayoutKind.Auto)]
internal unsafe struct PackingTask
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
        PackingTask task = *(PackingTask*)shared;
        int last = Math.Min((part + 1) * task.PartPanels * PanelKernel.Columns, task.Columns);
        for (int first = part * task.PartPanels * PanelKernel.Columns; first < last; first += PanelKernel.Columns)
            PanelPacking.Pack(task.B + first * task.ColumnStride, task.RowStride, task.ColumnStride, task.Depth, Math.Min(PanelKernel.Columns, task.Columns - first), task.Panels + (long)first * task.Depth);
    }
}
