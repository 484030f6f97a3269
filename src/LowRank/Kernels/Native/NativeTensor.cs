using System.Runtime.InteropServices;
using TorchSharp;

namespace LowRank.Kernels.Native;

/// <summary>Torch features for memory that TorchSharp does not expose: a tensor over external memory, and the address
/// of a tensor's memory without the 2 GiB limit of <c>Tensor.bytes</c>.</summary>
internal static unsafe class NativeTensor
{
    /// <summary>Creates a CPU tensor over memory that torch does not own, without a copy.</summary>
    /// <param name="data">The first element, aligned to the element's size.</param>
    /// <param name="release">Called with <paramref name="data"/> when torch drops its last reference, on any thread;
    /// must not throw.</param>
    /// <param name="shape">The sizes; the elements are in row-major order.</param>
    /// <param name="type">The element type.</param>
    public static torch.Tensor Wrap(
        nint data, delegate* unmanaged[Cdecl]<nint, void> release, long[] shape, torch.ScalarType type)
    {
        NativeRuntime.Initialize();
        fixed (long* sizes = shape)
        {
            nint handle = THSTensor_new(data, release, sizes, shape.Length, (sbyte)type, (sbyte)type, 0, -1, 0);
            if (handle == 0) torch.CheckForErrors();
            return torch.Tensor.UnsafeCreateTensor(handle);
        }
    }

    /// <summary>The address of the first element of a CPU tensor; valid while the tensor is alive.</summary>
    public static nint Address(torch.Tensor tensor)
    {
        nint address = THSTensor_data(tensor.Handle);
        torch.CheckForErrors();
        return address;
    }

    /// <summary>Whether a tensor is contiguous float32 in the processor's memory.</summary>
    public static bool IsPlain(torch.Tensor tensor) =>
        tensor.device_type == DeviceType.CPU && tensor.dtype == torch.ScalarType.Float32 && tensor.is_contiguous();

    /// <summary>The address of a contiguous tensor's gradient; 0 if it has none. Valid until the gradient is
    /// replaced.</summary>
    /// <remarks>Calls the native library directly: <c>Tensor.grad</c> creates an object with a finalizer, for each
    /// weight and step.</remarks>
    public static nint GradientAddress(torch.Tensor tensor)
    {
        nint gradient = THSTensor_grad(tensor.Handle);
        if (gradient == 0)
        {
            torch.CheckForErrors();
            return 0;
        }
        bool isPlain = THSTensor_is_contiguous(gradient) != 0;
        nint address = isPlain ? THSTensor_data(gradient) : 0;
        THSTensor_dispose(gradient); // the handle; the tensor keeps its gradient
        torch.CheckForErrors();
        if (isPlain) return address;
        tensor.grad = tensor.grad!.contiguous();
        return GradientAddress(tensor);
    }

    [DllImport("LibTorchSharp")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.AssemblyDirectory | DllImportSearchPath.SafeDirectories)]
    private static extern nint THSTensor_grad(nint handle);

    [DllImport("LibTorchSharp")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.AssemblyDirectory | DllImportSearchPath.SafeDirectories)]
    private static extern byte THSTensor_is_contiguous(nint handle);

    [DllImport("LibTorchSharp")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.AssemblyDirectory | DllImportSearchPath.SafeDirectories)]
    private static extern void THSTensor_dispose(nint handle);

    [DllImport("LibTorchSharp")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.AssemblyDirectory | DllImportSearchPath.SafeDirectories)]
    private static extern nint THSTensor_new(nint data, delegate* unmanaged[Cdecl]<nint, void> deleter, long* sizes,
        int dimensions, sbyte type, sbyte dtype, int deviceType, int deviceIndex, byte requiresGradient);

    [DllImport("LibTorchSharp")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.AssemblyDirectory | DllImportSearchPath.SafeDirectories)]
    private static extern nint THSTensor_data(nint handle);
}
