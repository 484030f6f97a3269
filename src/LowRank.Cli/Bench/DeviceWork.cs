using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Cli.Bench;

/// <summary>Work that a device does while the program goes on.</summary>
internal static class DeviceWork
{
    /// <summary>Waits until all of it is done, so that a time is that of the work. The processor's is done already.</summary>
    public static void Finish(Device device)
    {
        if (device.type == DeviceType.CUDA) cuda.synchronize(device);
    }
}
