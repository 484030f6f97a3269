using LowRank.Tests.Quantization;
using LowRank.Tests.Training;

namespace LowRank.Tests.Kernels;

/// <summary>Runs the tests of the kernels as on processors with narrower vectors than this one's, and with
/// two threads.</summary>
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
        var environment = new Dictionary<string, string>(CommandLine.Threads(2))
        {
            [setting] = "0", [VectorTests.Widest] = $"{widest}",
        };
        // One number at a time takes long, and a row has no rest that a vector does not fill: fewer random cases show
        // as much.
        if (widest == 0) environment["CsCheck_Iter"] = "20";
        int ran = await TestProcess.Run(
            Kernels.SelectMany(type => new[] { "-class", type.FullName! }), environment);
        Assert.InRange(ran, Kernels.Length, int.MaxValue);
    }
}
