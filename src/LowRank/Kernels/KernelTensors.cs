using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Kernels;

/// <summary>Checks which tensors memory kernels support.</summary>
internal static class KernelTensors
{
    /// <summary>Whether a tensor is float32 on the processor and outside autograd, because training always uses the
    /// same form.</summary>
    /// <param name="tensor">The tensor.</param>
    /// <param name="strided">Whether it may be non-contiguous.</param>
    public static bool Fit(Tensor tensor, bool strided = false) =>
        tensor.device_type == DeviceType.CPU && tensor.dtype == ScalarType.Float32
            && (strided || tensor.is_contiguous())
        && !is_grad_enabled();

    /// <summary>The number of rows in a tensor of a given shape, whose last axis is the row width.</summary>
    public static long Rows(long[] shape)
    {
        long rows = shape.Length == 0 ? 0 : 1;
        for (int axis = 0; axis < shape.Length - 1; axis++) rows *= shape[axis];
        return rows;
    }
}
