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

    // The one command for a machine with a GPU must work when it meets one.
    [Fact]
    public void A_gpus_measurements_are_tried_on_the_processor_each_into_its_file()
    {
        using var folder = new TemporaryFolder();
        string missing = folder["no-python"];
        CommandResult run = CommandLine.Run(
            "bench", "gpu", "--trial", "--device", "cpu", "--output", folder["gpu"], "--python", missing);
        Assert.Equal(1, run.ExitCode); // PEFT's measurements fail: there is no such Python
        string[] kinds = ["bfloat16", "checkpointing", "nf4"];
        Assert.All(kinds, kind =>
        {
            JsonElement found = Read($"gpu_1b_{kind}");
            Assert.True(found.GetProperty("tokens_per_second").GetDouble() > 0);
            Assert.True(found.GetProperty("share_of_limit").GetDouble() > 0);
            Assert.StartsWith("lowrank bench train base", found.GetProperty("command").GetString());
            Assert.Contains("cores", found.GetProperty("machine").GetString());
        });
        JsonElement peft = Read("gpu_8b_bfloat16_peft");
        Assert.Contains("no-python", peft.GetProperty("failed").GetString());
        Assert.Contains("--dtype bfloat16", peft.GetProperty("command").GetString());
        Assert.Contains("gpu_8b_bfloat16_peft: failed", run.Output);
        Assert.Equal(kinds.Length + 5, Directory.GetFiles(folder["gpu"]).Length);

        JsonElement Read(string name)
        {
            using JsonDocument json = JsonDocument.Parse(File.ReadAllText(folder[Path.Combine("gpu", name + ".json")]));
            return json.RootElement.Clone();
        }
    }

    [Fact]
    public void The_script_of_a_gpu_says_its_options_and_refuses_others()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "the script is for Linux");
        string script = Path.Combine(CommandLine.Repository, "bench", "gpu");
        Assert.Contains("--torchsharp FOLDER", CommandLine.RunOther("bash", script, "--help").Succeeded().Output);
        CommandResult refused = CommandLine.RunOther("bash", script, "--devise", "cuda");
        Assert.Equal(2, refused.ExitCode);
        Assert.Contains("unknown argument --devise", refused.Output + refused.Error);
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
    public void Every_kernel_is_timed_beside_another()
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
        Assert.All(reports, file =>
        {
            string[] rows = [.. File.ReadLines(file).Where(line => line.StartsWith('|') && line.Any(char.IsLetter))
                .Skip(1)]; // without the head
            Assert.True(rows.Length >= 2, $"{file} compares nothing.");
            Assert.All(rows, row => Assert.Matches(Timed(), row));
        });
        Assert.DoesNotMatch("ERROR", run.Output);
    }

    [GeneratedRegex(@"\|.*[0-9] (ns|us|μs|ms|s)\** +\|")]
    private static partial Regex Timed();
}
