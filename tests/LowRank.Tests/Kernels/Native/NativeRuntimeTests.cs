using LowRank.Kernels.Native;
using LowRank.Testing;

namespace LowRank.Tests.Kernels.Native;

/// <summary>What is said where libtorch is missing.</summary>
public sealed class NativeRuntimeTests
{
    [Theory]
    [InlineData("linux-x64", true), InlineData("win-x64", true)]
    [InlineData("osx-arm64", false), InlineData("linux-arm64", false)]
    public void The_message_names_a_package_for_a_gpu_only_where_there_is_one(string platform, bool hasCuda)
    {
        string message = NativeRuntime.MissingMessage("torch_cpu.dll", ["/a", "/b"], platform);
        Assert.Contains("looked for torch_cpu.dll in /a, /b.", message, StringComparison.Ordinal);
        Assert.Contains("'dotnet add package LowRank.Cpu'", message, StringComparison.Ordinal);
        Assert.Equal(hasCuda, message.Contains(
            $"'dotnet add package libtorch-cuda-12.8-{platform} --version {NativeRuntime.LibTorchVersion}'",
            StringComparison.Ordinal));
        Assert.Equal(hasCuda, message.Contains("cuda", StringComparison.OrdinalIgnoreCase));
    }

    [Theory]
    [InlineData("docs/packages.md"), InlineData("src/LowRank/README.md"), InlineData("src/LowRank.Cpu/README.md")]
    public void The_pages_name_the_version_that_is_built_with(string page)
    {
        Assert.Contains($"<LibTorchVersion>{NativeRuntime.LibTorchVersion}</LibTorchVersion>",
            RepositoryFiles.Read("src/LowRank.Cpu/buildTransitive/LowRank.Cpu.props"), StringComparison.Ordinal);
        Assert.Contains(NativeRuntime.LibTorchVersion, RepositoryFiles.Read(page), StringComparison.Ordinal);
    }
}
