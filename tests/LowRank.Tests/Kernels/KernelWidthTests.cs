using System.Diagnostics;
using LowRank.Kernels;
using LowRank.Tests.Training;

namespace LowRank.Tests.Kernels;

/// <summary>Runs the tests of the kernels as on processors with narrower vectors than this one's.</summary>
public sealed class KernelWidthTests
{
    private static readonly Type[] Kernels =
        [typeof(GemvTests), typeof(LowRankSumTests), typeof(RotaryTests), typeof(NormTests),
        typeof(ActivationTests), typeof(StepAttentionTests), typeof(TiledAttentionTests), typeof(AdamKernelTests),
        typeof(MatMulTests), typeof(HeadLossTests), typeof(VectorTests)];

    [Theory]
    [InlineData("DOTNET_EnableAVX512", 256)]
    [InlineData("DOTNET_EnableAVX2", 128)]
    [InlineData("DOTNET_EnableHWIntrinsic", 0)]
    public async Task The_kernels_hold_without(string setting, int widest)
    {
        string[] filters = [.. Kernels.SelectMany(type => new[] { "-class", type.FullName! })];
        var start = new ProcessStartInfo(
            Environment.ProcessPath!, [.. filters, "-noLogo", "-noColor"]) { UseShellExecute = false,
            RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment[setting] = "0";
        start.Environment[VectorTests.Widest] = $"{widest}";
        using Process process = Process.Start(start)!;
        CancellationToken cancellation = TestContext.Current.CancellationToken;
        Task<string> output = process.StandardOutput.ReadToEndAsync(cancellation),
            errors = process.StandardError.ReadToEndAsync(cancellation);
        string text = await output + await errors;
        await process.WaitForExitAsync(cancellation);
        Assert.True(process.ExitCode == 0 && text.Contains("Failed: 0", StringComparison.Ordinal), text);
    }
}
