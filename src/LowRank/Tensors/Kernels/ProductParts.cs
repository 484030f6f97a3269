using System.Runtime.InteropServices;

namespace LowRank.Tensors.Kernels;

/// <summary>A product of few rows with a matrix, y = x·Wᵀ + b, as the parts of a kernel see it.</summary>
[StructLayout(LayoutKind.Auto)]
internal unsafe struct ProductParts
{
    /// <summary>x, [rows, inputs].</summary>
    public float* Input;

    /// <summary>W, [outputs, inputs], or [inputs, outputs] where it is stored transposed.</summary>
    public float* Weight;

    /// <summary>b, [outputs]; null for none.</summary>
    public float* Bias;

    /// <summary>y, [rows, outputs].</summary>
    public float* Output;

    /// <summary>Rows of x.</summary>
    public int Rows;

    /// <summary>Width of x.</summary>
    public int Inputs;

    /// <summary>Width of y.</summary>
    public int Outputs;

    /// <summary>Outputs of a part.</summary>
    public int PartOutputs;
}
