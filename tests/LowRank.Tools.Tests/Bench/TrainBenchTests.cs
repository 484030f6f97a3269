using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Cli.Bench;
using LowRank.Cli.Bench.Train;
using LowRank.Kernels;

namespace LowRank.Tools.Tests.Bench;

/// <summary><c>lowrank bench train</c>: what it counts, and that its numbers fit together.</summary>
[Collection("alone")]
public sealed class TrainBenchTests
{
    // A row's last token predicts nothing and is not computed.
    private const long Batch = 2, Length = 16, Rank = 4, Tokens = Batch * Length, Computed = Batch * (Length - 1);

    // The embedded base's shape: 5 layers of width 192, 6 heads and 3 key-value heads of 32, 512 between, 4096 words.
    private const long Width = 192, Half = 96, Between = 512, Words = 4096, Layers = 5;

    [Fact]
    public void A_step_is_counted_by_its_shapes_without_what_it_does_not_need()
    {
        TrainMeasurement found =
            StepBench.Run(
                new TrainBenchOptions { Shape = "base", Batch = (int)Batch, Length = (int)Length, Rank = (int)Rank,
                Targets = ["q_proj", "v_proj"], Steps = 1 });
        long ways = Width * Width + 2 * Width * Half, rest = Width * Width + 3 * Width * Between;
        // Back to the input of the lowest layer's query, key and value there is nothing to train.
        double frozen = 2.0 * Computed * (2 * Layers * (ways + rest) - ways) + 2 * 2.0 * Computed * Width * Words;
        Assert.Equal(frozen, found.Cost.Frozen, 0.5);
        double pairs = 2.0 * Computed * Rank * Layers * (2 * (Width + Width) + 2 * (Width + Half) + Width + Half)
            + 2.0 * Computed * Rank * (Layers - 1) * 2 * Width;
        Assert.Equal(pairs, found.Cost.Pairs, 0.5);
        double attention = 3 * Layers * 2 * 2.0 * Batch * ((Length - 1) * Length / 2) * Width;
        Assert.Equal(attention, found.Cost.Attention, 0.5);
        Assert.Equal((frozen + pairs + attention) / Tokens, found.FlopsPerToken, 0.5);
        Assert.Equal(Rank * Layers * (2 * Width + Width + Half), found.TrainedParameters);
    }

    [Fact]
    public void Its_numbers_fit_together()
    {
        TrainMeasurement found =
            StepBench.Run(
                new TrainBenchOptions { Shape = "base", Batch = (int)Batch, Length = (int)Length,
                Targets = ["all-linear"], Labelled = 0.5, Steps = 2 });
        Assert.Equal(Tokens, found.Tokens);
        Assert.Equal(2, found.Seconds.Count);
        JsonObject json = Json(found);
        Assert.Equal(Tokens / found.Seconds.Min(), json["tokens_per_second"]!.GetValue<double>(), 1e-6);
        Assert.Equal(found.Cost.Total / found.Seconds.Min() / found.GemmFlopsPerSecond,
            json["share_of_limit"]!.GetValue<double>(), 9);
        Assert.Equal(found.Seconds.Max(), json["median_step_seconds"]!.GetValue<double>()); // the upper one of two
        Assert.InRange(found.WeightBytes, 4 * 2_500_000, 4 * 4_000_000);
        Assert.InRange(found.PeakBytes, 1, long.MaxValue);
        Assert.All(found.Parts, part => Assert.Equal(part.Seconds, json["parts"]![part.Part]!.GetValue<double>()));
    }

    [Fact]
    public void A_quantised_base_counts_the_same_products()
    {
        var options = new TrainBenchOptions { Shape = "base", Batch = (int)Batch, Length = (int)Length, Steps = 1 };
        TrainMeasurement plain = StepBench.Run(options), packed = StepBench.Run(options with { BaseDtype = "nf4" });
        Assert.Equal(plain.Cost.Frozen, packed.Cost.Frozen, 0.5);
        // the embedding stays in float32
        Assert.InRange(packed.WeightBytes, plain.WeightBytes / 10, plain.WeightBytes / 2);
    }

    [Fact]
    public void A_few_layers_of_a_shape_are_measured_and_several_shapes_are_told_apart()
    {
        var options = new TrainBenchOptions { Shape = "base", Batch = (int)Batch, Length = (int)Length, Steps = 1 };
        TrainMeasurement whole = StepBench.Run(options), part = StepBench.Run(options with { Layers = 2 });
        Assert.Equal(2 / 5.0, (double)part.TrainedParameters / whole.TrainedParameters, 9);
        JsonObject json = Json(whole, part with { Options = options with { Shape = "other" } });
        Assert.Equal(part.TrainedParameters, json["other"]!["trained_parameters"]!.GetValue<long>());
        Assert.Equal(["llama-160m", "gpt2-small"], ShapeArgument.Chosen(null));
        Assert.Equal(["gpt2-small"], ShapeArgument.Chosen("gpt2-small"));
    }

    [Fact]
    public void Steps_in_another_type_are_measured_in_turns_with_float32s()
    {
        var options = new TrainBenchOptions { Shape = "base", Batch = (int)Batch, Length = (int)Length, Steps = 2 };
        Assert.Null(Json(StepBench.Run(options))["of_float32"]);
        using IDisposable stated = BFloat16Units.State(ComputeType.EmulatedBFloat16);
        TrainMeasurement found = StepBench.Run(options with { ComputeDtype = "bfloat16" });
        Assert.Equal(2, found.Float32Seconds.Count);
        // The upper median of the two rounds' quotients.
        Assert.Equal(found.Float32Seconds.Zip(found.Seconds, (float32, own) => float32 / own).Max(),
            Json(found)["of_float32"]!.GetValue<double>(), 9);
    }

    [Fact]
    public void Another_program_runs_the_same_steps_beside()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "the other program is a shell script");
        using var folder = new TemporaryFolder();
        File.WriteAllText(
            folder["other"],
            "echo '{\"name\": \"PEFT\", \"tokens_per_second\": 4, \"arguments\": \"'\"$*\"'\"}'");
        var options = new TrainBenchOptions { Shape = "base", Batch = (int)Batch, Length = (int)Length, Steps = 1,
            Targets = ["q_proj", "v_proj"], Threads = 1, Beside = ["sh", folder["other"]] };
        TrainMeasurement found = StepBench.Run(options);
        Assert.Equal("--shape base --batch 2 --length 16 --rank 8 --steps 1 --threads 1 --targets q_proj,v_proj",
            found.Beside!.Printed["arguments"]!.GetValue<string>());
        Assert.Equal(Tokens / found.MedianSeconds / 4, found.OfBeside!.Value, 9);
        JsonObject json = Json(found);
        Assert.Equal("PEFT", json["beside"]!["name"]!.GetValue<string>());
        File.WriteAllText(folder["other"], "echo wrong; exit 3");
        Assert.Contains(
            "ended with code 3 and printed \"wrong\"",
            Assert.Throws<InputException>(() => StepBench.Run(options)).Message);
    }

    [Fact]
    public void All_that_is_wrong_is_said_at_once()
    {
        var problem = Assert.Throws<InputException>(
            () => StepBench.Run(
                new TrainBenchOptions { Batch = 0, Length = 1, Rank = -1, Labelled = 2, Dropout = 1, Steps = 0,
                Threads = 0 }));
        foreach (string option in new[] { "--batch is 0", "--length is 1", "--rank is -1", "--labelled is 2",
            "--dropout is 1", "--steps is 0", "--threads is 0" })
            Assert.Contains(option, problem.Message);
        Assert.Contains(
            "the storage format of the base's weights is int3, expected one of auto,",
            Assert.Throws<InputException>(
                () => StepBench.Run(new TrainBenchOptions { Shape = "base", BaseDtype = "int3" })).Message);
        Assert.Contains(
            "gpt2-small", Assert.Throws<InputException>(
                () => StepBench.Run(new TrainBenchOptions { Shape = "gpt3" })).Message);
        Assert.Contains(
            "at most 512 tokens",
            Assert.Throws<InputException>(
                () => StepBench.Run(new TrainBenchOptions { Shape = "base", Length = 513 })).Message);
    }

    private static JsonObject Json(params IReadOnlyList<TrainMeasurement> found) =>
        JsonSerializer.SerializeToNode(TrainBenchView.Json(found))!.AsObject();
}
