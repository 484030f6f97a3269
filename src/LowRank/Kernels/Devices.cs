using System.Globalization;
using LowRank.Kernels.Native;
using TorchSharp;

namespace LowRank.Kernels;

/// <summary>Device names as users write them.</summary>
public static class Devices
{
    /// <summary>Parses a device name and checks that the device exists.</summary>
    /// <param name="name"><c>cpu</c>, <c>cuda</c> (the first GPU), <c>cuda:1</c>, or <c>mps</c>.</param>
    /// <exception cref="InputException">The name is invalid, or this machine or build has no such device; the message
    /// says what is available and which package to reference.</exception>
    public static torch.Device Parse(string name)
    {
        (string kind, int? index) = Split(name);
        NativeRuntime.Initialize();
        switch (kind)
        {
            case "cpu":
                return torch.CPU;
            case "mps":
                if (!torch.mps_is_available())
                    throw new InputException(
                        $"The device '{name}' is not available: it needs macOS on Apple silicon. {Available()}");
                return torch.MPS;
            default:
                int count = CudaCount();
                if (count == 0)
                    throw new InputException(
                        $"The device '{name}' is not available: no NVIDIA GPU can be used. It needs an NVIDIA " +
                            "driver and the CUDA build of libtorch " +
                        "(build with -p:LibTorchFlavor=cuda-12.8, or reference libtorch-cuda-12.8-linux-x64 or " +
                            "-win-x64 in place of libtorch-cpu). " +
                        Available());
                if (index >= count)
                    throw new InputException(
                        $"The device '{name}' is not available: this machine has {count} CUDA device(s), cuda:0 to " +
                            $"cuda:{count - 1}.");
                return torch.device(DeviceType.CUDA, index ?? 0);
        }
    }

    /// <summary>Sets how CUDA multiplies float32 matrices in the whole process from now on; does nothing for other
    /// devices.</summary>
    /// <param name="device">Where the program computes.</param>
    /// <param name="isUsed">True for 10 bits of mantissa (TF32), several times faster on GPUs since Ampere; false for
    /// all 23.</param>
    public static void UseTf32(torch.Device device, bool isUsed)
    {
        if (device.type == DeviceType.CUDA) torch.backends.cuda.matmul.allow_tf32 = isUsed;
    }

    /// <summary>The types in which products with a base's frozen weights can take their inputs: float32, bfloat16, and
    /// auto, which is bfloat16 where the device has units for it.</summary>
    public static IReadOnlyList<string> ComputeTypes => Kernels.ComputeTypes.Names;

    /// <summary>The type that a device computes in, float32 or bfloat16.</summary>
    /// <param name="name">One of <see cref="ComputeTypes"/>.</param>
    /// <param name="device">Where products are computed.</param>
    /// <exception cref="InputException">The name is unknown, or bfloat16 is asked of a device without units for it; the
    /// message says what the device has and what is needed.</exception>
    public static string ComputeType(string name, torch.Device device) =>
        Kernels.ComputeTypes.Choose(name, device) == Kernels.ComputeType.Float32 ? Kernels.ComputeTypes.Float32
            : Kernels.ComputeTypes.BFloat16;

    /// <summary>Numbers as a tensor on a device, [n], int64. On CUDA nobody waits: they are copied from memory that the
    /// device reads itself, after what it still has to do.</summary>
    internal static torch.Tensor Send(long[] numbers, torch.Device device) =>
        Send(torch.tensor(numbers, dtype: torch.ScalarType.Int64), device);

    /// <summary>A tensor of the processor on a device; see the other overload.</summary>
    internal static torch.Tensor Send(torch.Tensor tensor, torch.Device device) =>
        device.type == DeviceType.CUDA && tensor.device_type == DeviceType.CPU
            ? tensor.pin_memory().to(device, non_blocking: true) : tensor.to(device);

    private static (string Kind, int? Index) Split(string name)
    {
        string[] parts = name.Trim().ToLowerInvariant().Split(':');
        if (parts is ["cpu"] or ["cuda"] or ["mps"]) return (parts[0], null);
        if (parts is ["cpu" or "mps", "0"]) return (parts[0], 0);
        if (parts is ["cuda", var number]
            && int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out int index))
            return ("cuda", index);
        throw new InputException($"Unknown device '{name}'; expected cpu, cuda, cuda:N (N from 0) or mps.");
    }

    private static string Available()
    {
        var names = new List<string> { "cpu" };
        for (int i = 0; i < CudaCount(); i++) names.Add($"cuda:{i}");
        if (torch.mps_is_available()) names.Add("mps");
        return $"Available: {string.Join(", ", names)}.";
    }

    private static int CudaCount()
    {
        try
        {
            return torch.cuda.is_available() ? torch.cuda.device_count() : 0;
        }
        catch (Exception e) when (e is NotSupportedException or DllNotFoundException or EntryPointNotFoundException)
        {
            // TorchSharp throws these if libtorch was built without CUDA: the device does not exist.
            return 0;
        }
    }
}
