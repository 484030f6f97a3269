using LowRank.Adapters;
using LowRank.Data;
using LowRank.Models;
using LowRank.Recipes;
using LowRank.Recipes.Steps;
using LowRank.Tests.Models;
using LowRank.Tests.Training;
using LowRank.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Tests.Quantization;

public sealed class QuantizedTrainingTests : IDisposable
{
    private static readonly string Config =
        TinyModel.With(TinyModel.With(TinyModel.Llama, "hidden_size", 64), "intermediate_size", 128);

    private readonly TemporaryFolder folder = new();
    private readonly TinyModel tiny = new(Config);
    private readonly PretrainedModel packed;   // nf4
    private readonly PretrainedModel expanded; // the same weights in float32

    public QuantizedTrainingTests()
    {
        tiny.Save();
        packed = PretrainedModel.Open(tiny.Path, baseDtype: "nf4");
        QuantizedFolder.Write(packed, folder["q"]);
        expanded = PretrainedModel.Open(folder["q"], baseDtype: "float32");
    }

    // LoftQ begins elsewhere on the expanded weights, and has a reference of its own.
    public static TheoryData<string> Methods => [.. AdapterMethods.Names.Where(name => name != "loftq")];

    private static TokenizedExample[] Examples => [.. Enumerable.Range(0, 12).Select(row =>
    {
        int[] ids = [.. Enumerable.Range(0, 4 + row % 5).Select(i => (row * 5 + i * 3) % 32)];
        return new TokenizedExample(ids, ids);
    })];

    /// <summary>Output, gradients, merged weights in memory and in a folder.</summary>
    [Theory, MemberData(nameof(Methods))]
    public void Every_method_is_the_same_on_nf4_and_on_its_expanded_weights(string name)
    {
        using var scope = NewDisposeScope();
        IAdapterMethod method = AdapterMethods.Get(name);
        AdapterConfig config = method.Configure(new LoraConfig { Rank = 4, Alpha = 8 });
        using Adapter onPacked = Changed(packed, config), onExpanded = Changed(expanded, config);
        Tensor ids = TinyModel.Ids(1, 5, 9, 2, 7, 30);
        // LoRA-GA begins along singular directions of a gradient, which rounding turns where their values are close.
        if (name != "lora_ga") Near(Gradients(expanded, onExpanded, ids), Gradients(packed, onPacked, ids));
        Tensor adapted = packed.Decoder.Forward(ids);
        if (name != "lora_ga") Near(expanded.Decoder.Forward(ids), adapted);
        if (onPacked.Parts.Any(part => part is AdaptedLayer))
        {
            onPacked.Merge();
            Near(adapted, packed.Decoder.Forward(ids));
            onPacked.Unmerge();
            onPacked.Detach();
            using PretrainedModel untouched = PretrainedModel.Open(tiny.Path, baseDtype: "nf4");
            Assert.True(untouched.Decoder.Forward(ids).eq(packed.Decoder.Forward(ids)).all().item<bool>());
            MergeReport report = AdapterMerge.Write(packed, onPacked, folder["merged"]);
            using PretrainedModel merged = PretrainedModel.Open(folder["merged"]);
            Assert.Empty(merged.Network.PackedWeights);
            Near(adapted, merged.Decoder.Forward(ids));
            Assert.Equal(("nf4", "float32", 0.0), (report.Format, report.WrittenAs, report.Rounding.Largest));
            Assert.InRange(report.Quantization.RootMeanSquare, 1e-4, 0.01);
        }
    }

    [Fact]
    public void Merging_in_bfloat16_says_what_rounding_costs()
    {
        using var scope = NewDisposeScope();
        using PretrainedModel written = PretrainedModel.Open(folder["q"]);
        using Adapter adapter = Changed(written, new LoraConfig { Rank = 4, Alpha = 8 });
        MergeReport report =
            AdapterMerge.Write(written, [(adapter, 1)], folder["merged"], ScalarType.BFloat16);
        // the folder has the quantised ones alone
        Assert.Equal(("nf4", "bfloat16", 0L), (report.Format, report.WrittenAs, report.Quantization.Count));
        Assert.InRange(report.Rounding.Largest, 1e-6, 0.01);
        Assert.InRange(report.Rounding.RootMeanSquare, 1e-7, report.Rounding.Largest);
        using LowRank.IO.Checkpoint file = LowRank.IO.Checkpoint.Open(folder["merged"]);
        Assert.Equal("BF16", file.Entries["model.layers.1.mlp.down_proj.weight"].DataType);
        Assert.Equal("F32", file.Entries["model.norm.weight"].DataType);
        Assert.DoesNotContain("quantization_config", File.ReadAllText(Path.Combine(folder["merged"], "config.json")));
    }

    [Fact]
    public void A_run_on_nf4_is_that_on_its_expanded_weights()
    {
        List<TrainingStep> one = Train(packed), other = Train(expanded);
        Assert.Equal(20, one.Count);
        for (int i = 0; i < one.Count; i++)
        {
            Assert.Equal(other[i].Loss, one[i].Loss, 1e-3);
            Assert.Equal(other[i].GradientNorm, one[i].GradientNorm, 0.01 * other[i].GradientNorm);
        }
        Assert.True(one[^1].Loss < 0.95 * one[0].Loss, $"the loss went from {one[0].Loss} to {one[^1].Loss}");
    }

    public void Dispose()
    {
        packed.Dispose();
        expanded.Dispose();
        tiny.Dispose();
        folder.Dispose();
    }

    private List<TrainingStep> Train(PretrainedModel model)
    {
        using Adapter adapter =
            Adapter.Create(model, new LoraConfig { Rank = 4, Alpha = 8, TargetModules = ModuleSelection.AllLinear }, 1);
        adapter.Attach();
        var recorder = new Recorder();
        var options = new TrainerOptions { Steps = 20, BatchSize = 6, LearningRate = 0.02,
            Schedule = ScheduleKind.Constant, Seed = 5 };
        new Trainer(model.Decoder, new TrainedAdapter(adapter), options, folder["run"], recorder).Run(Examples, []);
        Directory.Delete(folder["run"], recursive: true);
        return recorder.Steps;
    }

    // Attached, with weights that change something.
    private static Adapter Changed(PretrainedModel model, AdapterConfig config)
    {
        using var scope = NewDisposeScope();
        var adapter = Adapter.Create(
            model, config, 3, new ExampleCalibration(new CausalObjective(model.Decoder), Examples, 6));
        adapter.Attach();
        using var noGradient = no_grad();
        using var random = new Generator().manual_seed(8);
        foreach ((string _, Tensor weight) in adapter.TrainedWeights)
            weight.add_(randn(weight.shape, generator: random), Number(0.03));
        return adapter;
    }

    private static Tensor Gradients(PretrainedModel model, Adapter adapter, Tensor ids)
    {
        adapter.SetTrainable(true);
        Tensor logits = model.Decoder.Logits(model.Decoder.Hidden(ids));
        logits.log_softmax(-1).select(2, 3).sum().backward();
        Tensor[] gradients =
            [.. adapter.TrainedWeights.Where(weight => weight.Value.grad is not null)
            .Select(weight => weight.Value.grad!.reshape(-1).clone())];
        Assert.NotEmpty(gradients);
        adapter.SetTrainable(false);
        foreach ((string _, Tensor weight) in adapter.TrainedWeights) weight.grad = null;
        return cat(gradients);
    }

    private static void Near(Tensor wanted, Tensor found) =>
        Assert.InRange(
            (wanted - found).abs().max().item<float>(), 0, 1e-4 * Math.Max(1, wanted.abs().max().item<float>()));
}
