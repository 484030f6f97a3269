namespace LowRank.EndToEndTests;

public sealed class SmokeTests
{
    [Fact]
    public void The_native_library_loads() => Assert.Equal(6, TorchSharp.torch.ones(2, 3).sum().item<float>() + 0 * new InputException("x").Problems.Count);
}
