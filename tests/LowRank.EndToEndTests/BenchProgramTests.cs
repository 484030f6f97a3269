using System.Runtime.Intrinsics.X86;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace LowRank.EndToEndTests;

/// <summary>The programs of <c>bench/</c>.</summary>
public sealed partial class BenchProgramTests
{
    [Fact]
    public void Measurements_are_run_into_files_with_command_machine_vectors_and_commit()
    {
        Assert.SkipUnless(Avx2.IsSupported, "this processor has no AVX2");
        using var folder = new TemporaryFolder();
        // It sets them itself where they belong, and refuses them elsewhere; the tests may run under them.
        var unset = new[] { "DOTNET_EnableAVX512", "ATEN_CPU_CAPABILITY", "MKL_ENABLE_INSTRUCTIONS",
            "ONEDNN_MAX_CPU_ISA" }.ToDictionary(name => name, _ => "");
        CommandResult run = CommandLine.RunProgram(
            unset, CommandLine.Built("bench/LowRank.Bench"), CommandLine.Repository, "optimizer", "train_avx2",
            "--trial", "--output", folder["measured"]).Succeeded();
        Assert.Matches("The machine is (busy|idle)|cannot be seen", run.Output);
        Assert.Equal(["optimizer.json", "train_avx2.json"], Directory.GetFiles(folder["measured"])
            .Select(Path.GetFileName).Order());
        using JsonDocument json =
            JsonDocument.Parse(File.ReadAllText(Path.Combine(folder["measured"], "train_avx2.json")));
        JsonElement found = json.RootElement;
        Assert.Equal("AVX2", found.GetProperty("vectors").GetString());
        Assert.Equal("lowrank bench train base --batch 2 --length 32 --steps 1 --json", found.GetProperty("command")
            .GetString());
        Assert.Contains("cores", found.GetProperty("machine").GetString());
        Assert.Matches("^([0-9a-f]{10}|unknown)$", found.GetProperty("commit").GetString()!);
        Assert.True(found.GetProperty("tokens_per_second").GetDouble() > 0);
    }

    [Fact]
    public void What_cannot_be_measured_is_said_and_the_others_are_listed()
    {
        CommandResult list =
            CommandLine.RunProgram(CommandLine.Built("bench/LowRank.Bench"), CommandLine.Repository, "--list")
            .Succeeded();
        Assert.Contains("lengths needs --e2e", list.Output);
        Assert.Contains("lowrank bench growth --json", list.Output);
    }

    [Fact]
    public void Every_kernel_is_timed_beside_torchs()
    {
        using var folder = new TemporaryFolder();
        CommandResult run = CommandLine.RunProgram(
            CommandLine.Built("bench/LowRank.MicroBench"), folder.Path, "--filter", "*", "--job", "dry",
            "--iterationCount", "2").Succeeded();
        string[] sources =
            [.. Directory.GetFiles(Path.Combine(CommandLine.Repository, "bench", "LowRank.MicroBench"), "*.cs")
            .Where(file => File.ReadAllText(file).Contains("[GlobalSetup]", StringComparison.Ordinal))];
        string[] reports =
            Directory.GetFiles(Path.Combine(folder.Path, "artifacts", "benchmarks", "results"), "*-report-github.md");
        Assert.Equal(sources.Select(Path.GetFileNameWithoutExtension).Order(),
            reports.Select(file => Path.GetFileName(file).Split('-')[0].Split('.')[^1]).Order());
        Assert.All(reports, file => Assert.Matches(Timed(), File.ReadAllText(file)));
        Assert.DoesNotMatch("ERROR", run.Output);
    }

    [GeneratedRegex(@"\| \**Own\** +\|.*[0-9] (ns|us|μs|ms|s)\** +\|")]
    private static partial Regex Timed();
}
