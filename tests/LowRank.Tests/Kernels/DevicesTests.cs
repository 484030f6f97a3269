using LowRank.Kernels;
using TorchSharp;

namespace LowRank.Tests.Kernels;

public sealed class DevicesTests
{
    [Theory]
    [InlineData("cpu")]
    [InlineData(" CPU ")]
    [InlineData("cpu:0")]
    public void The_processor_is_always_there(string name) => Assert.Equal(DeviceType.CPU, Devices.Parse(name).type);

    [Theory]
    [InlineData("")]
    [InlineData("gpu")]
    [InlineData("cuda:")]
    [InlineData("cuda:-1")]
    [InlineData("cuda:x")]
    [InlineData("cuda:99999999999")]
    [InlineData("cuda:0:1")]
    [InlineData("mps:1")]
    public void An_unknown_name_lists_what_may_be_written(string name)
    {
        string message = Assert.Throws<InputException>(() => Devices.Parse(name)).Message;
        Assert.Contains($"'{name}'", message);
        Assert.Contains("expected cpu, cuda, cuda:N", message);
    }

    [Fact]
    public void An_absent_device_says_what_is_available_and_what_to_do()
    {
        string message = Assert.Throws<InputException>(() => Devices.Parse("cuda:4096")).Message;
        Assert.Contains("'cuda:4096' is not available", message);
        Assert.Contains(torch.cuda.is_available() ? "cuda:0 to cuda:" : "LibTorchFlavor", message);
        if (!OperatingSystem.IsMacOS())
            Assert.Contains("Available: cpu", Assert.Throws<InputException>(() => Devices.Parse("mps")).Message);
    }

    [Fact]
    public void A_GPU_that_is_there_is_used()
    {
        Assert.SkipUnless(torch.cuda.is_available(), "no CUDA device");
        using torch.Tensor ones = torch.ones(2, device: Devices.Parse("cuda"));
        Assert.Equal(0, ones.device.index);
        Assert.Equal(2, ones.sum().item<float>());
    }
}
