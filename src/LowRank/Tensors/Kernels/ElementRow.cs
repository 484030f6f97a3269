using System.Runtime.InteropServices;

namespace LowRank.Tensors.Kernels;

/// <summary>Numbers side by side that an <see cref="IElementwise"/> reads and writes.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly unsafe struct ElementRow(float* a, float* b, float* c, float* first, float* second)
{
    /// <summary>The first input.</summary>
    public readonly float* A = a;

    /// <summary>The second input, or null.</summary>
    public readonly float* B = b;

    /// <summary>The third input, or null.</summary>
    public readonly float* C = c;

    /// <summary>The first output.</summary>
    public readonly float* First = first;

    /// <summary>The second output, or null.</summary>
    public readonly float* Second = second;
}
