using LowRank.IO;
using LowRank.Kernels;
using TorchSharp;

namespace LowRank.ParityTests;

/// <summary>Where the reference cases are computed: the processor, or what the environment variable names, such as
/// cuda.</summary>
internal static class TestDevice
{
    /// <summary>The variable's name.</summary>
    public const string Variable = "LOWRANK_TEST_DEVICE";

    /// <summary>The device.</summary>
    public static torch.Device Current { get; } =
        Devices.Parse(Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } name ? name : "cpu");

    /// <summary>A tensor of a file there.</summary>
    public static torch.Tensor Read(this SafeTensorsFile file, string name) => file.Map(name).to(Current);

    /// <summary>Skips a test that compares a device with the processor where none is named.</summary>
    public static void Require() =>
        Assert.SkipWhen(string.IsNullOrEmpty(Environment.GetEnvironmentVariable(Variable)),
            $"{Variable} names no device; set it to cuda where there is one.");
}
