using System.Text.Json;
using System.Text.Json.Nodes;
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
        GenerateMeasurement found =
            GenerateBench.Run(
                new GenerateOptions { Shape = "base", Batch = 2, Prompt = 7, New = 4, Rank = 2, Rounds = 1 });
        const long Layer = 2 * 192 * 192 + 2 * 96 * 192 + 3 * 192 * 512, Head = 4096 * 192, Norms = 11 * 192;
        const double Cached = 2.0 * sizeof(float) * 5 * 3 * 32 * 9; // three steps see 8, 9 and 10 positions
        Assert.Equal(sizeof(float) * (5 * Layer + Head + Norms) + Cached, found.StepBytes);
        Assert.Equal(sizeof(float) * (5 * Layer + Head + Norms) + 2 * Cached, found.ManyStepBytes);
        Assert.Equal(2.0 * 7 * 5 * Layer + 2 * Head + 4.0 * 5 * 6 * 32 * (7 * 8 / 2), found.PromptFlops);
        Assert.Equal(sizeof(float) * (5 * Layer + Head + Norms), found.WeightBytes);
        JsonObject json = JsonSerializer.SerializeToNode(GenerateView.Json(found))!.AsObject();
        string[] measured = ["tokens_per_second", "share_of_limit", "read_bytes_per_second", "batch_tokens_per_second",
            "batch_speedup", "prompt_share_of_limit", "gemm_flops_per_second", "managed_bytes_per_step"];
        Assert.All(measured, key => Assert.InRange(json[key]!.GetValue<double>(), double.Epsilon, double.MaxValue));
        Assert.Equal(found.StepBytes / found.One.Rounds[0] / found.Reads[0],
            json["share_of_limit"]!.GetValue<double>(), 9);
        Assert.NotNull(json["adapter_cost"]);
    }

    [Fact]
    public void The_base_alone_is_measured_at_rank_0()
    {
        GenerateMeasurement found =
            GenerateBench.Run(
                new GenerateOptions { Shape = "base", Batch = 1, Prompt = 2, New = 2, Rank = 0, Rounds = 1 });
        Assert.Null(found.AdapterCost);
        Assert.True(double.IsFinite(found.Many.StepSeconds));
    }

    [Fact]
    public void What_makes_no_sense_is_refused_all_at_once()
    {
        string message = Assert.Throws<InputException>(
            () => GenerateBench.Run(new GenerateOptions { Batch = 0, New = 1, Rank = -1 })).Message;
        Assert.All(["--batch is 0", "--new is 1", "--rank is -1"],
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
        Assert.InRange(PerformancePage.Load(RepositoryFiles.Root)["generate"][key]!.GetValue<double>(), least, most);
}
