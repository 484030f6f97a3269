using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Cli.Bench;
using LowRank.Cli.Bench.Generate;
using LowRank.Pages;

namespace LowRank.Tools.Tests.Bench;

/// <summary>What <c>lowrank bench generate</c> counts, prints and refuses, and what was measured with it for
/// docs/performance.md.</summary>
[Collection("alone")]
public sealed class GenerateBenchTests
{
    [Fact]
    public void Bytes_and_operations_are_counted_by_shape()
    {
        GenerateMeasurement found = Assert.Single(
            GenerateBench.Run(
                new GenerateOptions { Shape = "base", Batch = 2, Prompt = 7, New = 4, Rank = 2, Rounds = 1 }));
        const long Layer = 2 * 192 * 192 + 2 * 96 * 192 + 3 * 192 * 512, Head = 4096 * 192, Norms = 11 * 192;
        const double Cached = 2.0 * sizeof(float) * 5 * 3 * 32 * 9; // three steps see 8, 9 and 10 positions
        Assert.Equal(sizeof(float) * (5 * Layer + Head + Norms) + Cached, found.StepBytes);
        Assert.Equal(sizeof(float) * (5 * Layer + Head + Norms) + 2 * Cached, found.ManyStepBytes);
        Assert.Equal(2.0 * 7 * 5 * Layer + 2 * Head + 4.0 * 5 * 6 * 32 * (7 * 8 / 2), found.PromptFlops);
        Assert.Equal(sizeof(float) * (5 * Layer + Head + Norms), found.WeightBytes);
        JsonObject json = JsonSerializer.SerializeToNode(GenerateView.Json([[found]]))!.AsObject();
        string[] measured = ["tokens_per_second", "share_of_limit", "read_bytes_per_second", "batch_tokens_per_second",
            "batch_speedup", "prompt_share_of_limit", "gemm_flops_per_second", "managed_bytes_per_step"];
        Assert.All(measured, key => Assert.InRange(json[key]!.GetValue<double>(), double.Epsilon, double.MaxValue));
        Assert.Equal(found.StepBytes / found.One.Rounds[0] / found.Reads[0],
            json["share_of_limit"]!.GetValue<double>(), 9);
        Assert.NotNull(json["adapter_cost"]);
        Assert.Null(json["llama_cpp"]);
        Assert.Equal(1, json["of_float32"]!.GetValue<double>());
    }

    [Fact]
    public void A_step_on_packed_weights_reads_the_bytes_of_their_packed_form()
    {
        IReadOnlyList<GenerateMeasurement> found = GenerateBench.Run(
            new GenerateOptions { Shape = "base", Layers = 2, Batch = 2, Prompt = 7, New = 4, Rank = 0, Rounds = 2,
            BaseDtypes = ["float32", "bfloat16", "int8", "nf4"] });
        const long Matrices = 2 * (2 * 192 * 192 + 2 * 96 * 192 + 3 * 192 * 512), Outputs = 2 * (192 + 2 * 96 + 192
            + 512 + 512 + 192), Rest = sizeof(float) * (4096 * 192 + 5 * 192); // the head and the norms in float32
        const double Cached = 2.0 * sizeof(float) * 2 * 3 * 32 * 9;
        double[] bytes = [.. found.Select(measured => measured.StepBytes - Rest - Cached)];
        Assert.Equal(["float32", "bfloat16", "int8", "nf4"], found.Select(measured => measured.Format));
        Assert.Equal(4.0 * Matrices, bytes[0]);
        Assert.Equal(2.0 * Matrices, bytes[1]);
        Assert.Equal(Matrices + 4.0 * Outputs, bytes[2]); // a scale for each output
        Assert.InRange(bytes[3] / Matrices, 0.5, 0.6);
        Assert.All(found, measured => Assert.Equal(found[0].PromptFlops, measured.PromptFlops));
        GenerateMeasurement packedHead = Assert.Single(GenerateBench.Run(
            found[0].Options with { BaseDtypes = ["int8"], BaseHead = "base" }));
        Assert.Equal(Matrices + 4.0 * Outputs + 4096 * 192 + 4.0 * 4096 + sizeof(float) * 5 * 192 + Cached,
            packedHead.StepBytes);
        Assert.Equal(Median.OfQuotients(found[0].One.Rounds, found[3].One.Rounds), found[3].OfFloat32);
        GenerateMeasurement other = found[0] with { Options = found[0].Options with { Shape = "other" } };
        JsonObject json = JsonSerializer.SerializeToNode(GenerateView.Json([found, [other]]))!.AsObject();
        Assert.Equal("float32", json["other"]!["base_dtype"]!.GetValue<string>());
        Assert.Equal("nf4", json["base"]!["nf4"]!["base_dtype"]!.GetValue<string>());
        Assert.Equal(Median.OfQuotients(found[0].Many.Rounds, found[2].Many.Rounds),
            json["base"]!["int8"]!["batch_of_float32"]!.GetValue<double>());
    }

    [Fact]
    public void Llama_cpp_is_measured_in_turns_on_files_of_the_same_shape()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "the stand-in for llama-bench is a shell script");
        using var folder = new TemporaryFolder();
        string program = folder["llama-bench"];
        // Says how it was called and which file it got, as llama-bench prints its results.
        File.WriteAllText(program, $$"""
            #!/bin/sh
            echo "$*" >> {{folder["calls"]}}
            cp "$2" {{folder.Path}}
            case "$*" in *"-n 0"*) rate=200;; *) rate=50;; esac
            echo '[{"build_number": 7, "build_commit": "abc", "avg_ts": '$rate'}]'
            """);
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(program, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        IReadOnlyList<GenerateMeasurement> found = GenerateBench.Run(
            new GenerateOptions { Shape = "base", Batch = 1, Prompt = 7, New = 4, Rank = 0, Rounds = 2, Threads = 1,
            BaseDtypes = ["float32", "int8", "nf4"], LlamaBench = program });
        string[] calls = File.ReadAllLines(folder["calls"]);
        Assert.Equal(8, calls.Length);
        Assert.EndsWith("float32.gguf -t 1 -r 1 -o json -p 7 -n 0", calls[0], StringComparison.Ordinal);
        Assert.EndsWith("int8.gguf -t 1 -r 1 -o json -p 0 -n 3 -d 7", calls[3], StringComparison.Ordinal);
        Assert.Equal(["f32", "q8_0", null], found.Select(measured => measured.Other?.Type));
        Assert.Equal(Median.Of([.. found[0].One.Means.Select(seconds => 1 / seconds / 50)]),
            found[0].OfOther!.Value, 9);
        Assert.Equal(Median.Of([.. found[1].One.Prompts.Select(seconds => 7 / seconds / 200)]),
            found[1].PromptOfOther!.Value, 9);
        Assert.Null(found[2].OfOther);
        const long Weights = 5 * (2 * 192 * 192 + 2 * 96 * 192 + 3 * 192 * 512) + 2 * 4096 * 192, Norms = 11 * 192;
        // Headers take a few kilobytes.
        Assert.InRange(new FileInfo(folder["float32.gguf"]).Length - 4 * (Weights + Norms), 0, 8192);
        Assert.InRange(new FileInfo(folder["int8.gguf"]).Length - Weights / 32 * 34 - 4 * Norms, 0, 8192);
    }

    [Fact]
    public void A_llama_bench_that_does_not_run_and_other_models_are_refused()
    {
        var options = new GenerateOptions { Shape = "base", Batch = 1, Prompt = 2, New = 2, Rank = 0, Rounds = 1,
            LlamaBench = "/nowhere/llama-bench" };
        Assert.Contains(
            "--llama-bench is /nowhere/llama-bench, which did not measure",
            Assert.Throws<InputException>(() => GenerateBench.Run(options)).Message);
        Assert.Contains(
            "gpt2-small is of type gpt2",
            Assert.Throws<InputException>(() => (options with { Shape = "gpt2-small" }).Check()).Message);
    }

    [Fact]
    public void The_base_alone_is_measured_at_rank_0()
    {
        GenerateMeasurement found = Assert.Single(
            GenerateBench.Run(
                new GenerateOptions { Shape = "base", Batch = 1, Prompt = 2, New = 2, Rank = 0, Rounds = 1 }));
        Assert.Null(found.AdapterCost);
        Assert.True(double.IsFinite(found.Many.StepSeconds));
    }

    [Fact]
    public void What_makes_no_sense_is_refused_all_at_once()
    {
        string message = Assert.Throws<InputException>(
            () => GenerateBench.Run(new GenerateOptions { Batch = 0, New = 1, Rank = -1, Layers = 0 })).Message;
        Assert.All(["--batch is 0", "--new is 1", "--rank is -1", "--layers is 0"],
            part => Assert.Contains(part, message, StringComparison.Ordinal));
        Assert.Contains(
            "base takes at most 512",
            Assert.Throws<InputException>(
                () => GenerateBench.Run(new GenerateOptions { Shape = "base", Prompt = 500, New = 20 })).Message);
        Assert.Throws<InputException>(() => GenerateBench.Run(new GenerateOptions { Shape = "bert-base" }));
    }

    [Theory]
    [InlineData("share_of_limit", 0.70, 1.1)]
    [InlineData("batch_speedup", 5.0, 8.0)]
    [InlineData("prompt_share_of_limit", 0.80, 2.5)] // above 1 with the own product of matrices
    [InlineData("adapter_cost", -0.1, 0.10)]
    [InlineData("batch_adapter_cost", -0.1, 0.10)]
    [InlineData("prompt_adapter_cost", -0.1, 0.10)]
    public void What_was_measured_keeps_what_is_promised(string key, double least, double most) =>
        Assert.InRange(
            PerformancePage.Load(RepositoryFiles.Root)["amd-avx512/generate"][key]!.GetValue<double>(), least, most);
}
