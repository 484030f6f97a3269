using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Tensors.Kernels;

/// <summary>Which tensors kernels over memory can take.</summary>
internal static class KernelTensors
{
    /// <summary>Whether a tensor is float32 on the processor, outside of autograd: training computes by one way alone.</summary>
    /// <param name="tensor">The tensor.</param>
    /// <param name="strided">Whether it may have gaps or another order than row by row.</param>
    public static bool Fit(Tensor tensor, bool strided = false) =>
        tensor.device_type == DeviceType.CPU && tensor.dtype == ScalarType.Float32 && (strided || tensor.is_contiguous())
        && !is_grad_enabled();

    /// <summary>How many rows a tensor of a shape has, its last axis being their width.</summary>
    public static long Rows(long[] shape)
    {
        long rows = shape.Length == 0 ? 0 : 1;
        for (int axis = 0; axis < shape.Length - 1; axis++) rows *= shape[axis];
        return rows;
    }
}
