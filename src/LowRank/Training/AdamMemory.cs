using System.Runtime.InteropServices;

namespace LowRank.Training;

/// <summary>Where a weight and what AdamW needs for it lie.</summary>
/// <param name="Weight">The address of the weight.</param>
/// <param name="Gradient">Of its gradient; 0 where it has none.</param>
/// <param name="Mean">Of the mean gradient.</param>
/// <param name="Square">Of the mean squared gradient.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct AdamMemory(nint Weight, nint Gradient, nint Mean, nint Square);
