using LowRank.Tests.Quantization;
using LowRank.Tests.Training;

namespace LowRank.Tests.Kernels;

/// <summary>Runs the tests of the kernels as on processors with narrower vectors than this one's.</summary>
public sealed class KernelWidthTests
{
    private static readonly Type[] Kernels =
        [typeof(LinearProductTests), typeof(PackedProductTests), typeof(LowRankSumTests), typeof(LowRankRowsTests),
        typeof(RotaryTests), typeof(NormTests), typeof(ActivationTests), typeof(StepAttentionTests),
        typeof(TiledAttentionTests), typeof(AdamKernelTests),
        typeof(MatMulTests), typeof(HeadLossTests), typeof(VectorTests)];

    [Theory]
    [InlineData("DOTNET_EnableAVX512", 256)]
    [InlineData("DOTNET_EnableAVX2", 128)]
    [InlineData("DOTNET_EnableHWIntrinsic", 0)]
    public async Task The_kernels_hold_without(string setting, int widest)
    {
        int ran = await TestProcess.Run(Kernels.SelectMany(type => new[] { "-class", type.FullName! }),
            new Dictionary<string, string> { [setting] = "0", [VectorTests.Widest] = $"{widest}" });
        Assert.InRange(ran, Kernels.Length, int.MaxValue);
    }
}
