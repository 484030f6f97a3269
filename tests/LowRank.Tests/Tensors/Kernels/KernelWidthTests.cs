using System.Diagnostics;
using System.Runtime.Intrinsics;
using LowRank.Tests.Models;

namespace LowRank.Tests.Tensors.Kernels;

/// <summary>Runs the tests of the kernels as on processors with narrower vectors than this one's.</summary>
public sealed class KernelWidthTests
{
    private const string Widest = "LOWRANK_TESTS_WIDEST_VECTOR";

    private static readonly Type[] Kernels = [typeof(RowProductTests), typeof(LowRankSumTests), typeof(RowRotationTests), typeof(RowScalingTests), typeof(StepAttentionTests)];

    [Theory]
    [InlineData("DOTNET_EnableAVX512", 256)]
    [InlineData("DOTNET_EnableAVX2", 128)]
    [InlineData("DOTNET_EnableHWIntrinsic", 0)]
    public void The_kernels_hold_without(string setting, int widest)
    {
        string[] filters = [.. Kernels.SelectMany(type => new[] { "-class", type.FullName! }), "-method", $"*.{nameof(Vectors_are_as_narrow_as_was_asked_for)}"];
        var start = new ProcessStartInfo(Environment.ProcessPath!, [.. filters, "-noLogo", "-noColor"]) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment[setting] = "0";
        start.Environment[Widest] = $"{widest}";
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, $"{output}{errors.Result}");
    }

    [Fact]
    public void Vectors_are_as_narrow_as_was_asked_for()
    {
        int widest = Vector512.IsHardwareAccelerated ? 512 : Vector256.IsHardwareAccelerated ? 256 : Vector128.IsHardwareAccelerated ? 128 : 0;
        if (Environment.GetEnvironmentVariable(Widest) is { } asked) Assert.Equal(int.Parse(asked), widest);
    }
}
