using System.Text.RegularExpressions;
using LowRank.Kernels.Native;
using LowRank.Testing;

namespace LowRank.Tests.Kernels.Native;

/// <summary>A libtorch that the user chose and that cannot be used.</summary>
public sealed class ChosenLibTorchTests
{
    [Fact]
    public void A_folder_without_the_library_says_what_builds_it()
    {
        using var folder = new TemporaryFolder();
        Assert.Equal(
            $"LOWRANK_LIBTORCH is \"{folder.Path}\", but {Path.Combine(folder.Path, "libLibTorchSharp.so")} does not " +
            "exist. Build it with build/native-for-torch, which prints the folder.", Refusal(folder.Path));
    }

    [Fact]
    public void A_program_with_a_libtorch_of_its_own_says_how_to_build_it_without()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(Path.Combine(folder.Path, "libLibTorchSharp.so"), "");
        string message = Refusal(folder.Path, own: "/program/libtorch_cpu.so");
        Assert.Contains("of its own (/program/libtorch_cpu.so)", message, StringComparison.Ordinal);
        Assert.Contains("-p:LibTorchFlavor=none", message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_library_that_does_not_load_says_why()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(Path.Combine(folder.Path, "libLibTorchSharp.so"), "not a library");
        string message = Refusal(folder.Path);
        Assert.Contains("does not load: ", message, StringComparison.Ordinal);
        Assert.EndsWith("build it again with build/native-for-torch.", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Other_systems_are_refused() =>
        Assert.Contains("on Linux x64 only", Refusal("/somewhere", isSupported: false), StringComparison.Ordinal);

    [Fact]
    public void The_openmp_that_libtorch_brought_is_found_among_the_mapped_files()
    {
        string[] maps =
        [
            "7f00-7f01 r-xp 00000000 00:00 0 ", "7f01-7f02 r-xp 00000000 fe:00 12   /torch/lib/libtorch_cpu.so",
            "7f02-7f03 r-xp 00000000 fe:00 13   /torch/lib/libgomp-a34b3233.so.1", "7f03-7f04 rw-p 00:00 0   [heap]",
        ];
        Assert.Equal("/torch/lib/libgomp-a34b3233.so.1", ChosenLibTorch.OpenMpOf(maps));
        Assert.Null(ChosenLibTorch.OpenMpOf(maps[..2]));
    }

    // The native functions are a contract between TorchSharp's assembly and the sources that the script compiles.
    [Fact]
    public void The_script_compiles_the_sources_of_the_version_that_is_referenced()
    {
        string version = Regex.Match(
            RepositoryFiles.Read("Directory.Packages.props"), "\"TorchSharp\" Version=\"([0-9.]+)\"").Groups[1].Value;
        Assert.Contains(
            $"# The sources of TorchSharp {version},", RepositoryFiles.Read("build/native-for-torch"),
            StringComparison.Ordinal);
    }

    private static string Refusal(string folder, bool isSupported = true, string? own = null) =>
        Assert.Throws<InputException>(() => ChosenLibTorch.Load(folder, isSupported, own)).Message;
}
