using LowRank.Adapters;
using LowRank.Data;
using LowRank.Data.Packing;
using LowRank.Kernels;
using LowRank.Models;
using LowRank.Models.Layers;
using LowRank.Quantization;
using LowRank.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.ParityTests;

/// <summary>Training on the device that <see cref="TestDevice"/> names: what the processor computes, and dropout of its
/// own.</summary>
[Collection("alone")]
public sealed class DeviceTests
{
    private const double Tolerance = 1e-4; // relative, on losses and norms of gradients
    private const double Again = 1e-5;     // as Tolerance, of one device: it may add in another order each time

    // small: AdamW turns the rounding of a gradient that is nearly zero into a whole step
    private const double Rate = 1e-4;

    public static TheoryData<string> Families => ["llama", "gpt2", "gemma2", "qwen3", "mixtral", "phi3"];

    [Theory, MemberData(nameof(Families))]
    public void Steps_are_those_of_the_processor(string family)
    {
        TestDevice.Require();
        foreach (string way in (string[])["padded", "packed", "shared", "checkpointed"])
            AssertNear(Steps(family, CPU, way, 0), Steps(family, TestDevice.Current, way, 0), Tolerance, way);
    }

    [Theory, MemberData(nameof(Families))]
    public void Dropout_follows_the_seed_alone(string family)
    {
        TestDevice.Require();
        double[] losses = Steps(family, TestDevice.Current, "shared", 0.3);
        AssertNear(losses, Steps(family, TestDevice.Current, "shared", 0.3), Again, "again");
        AssertNear(losses, Steps(family, TestDevice.Current, "checkpointed", 0.3), Again, "checkpointed");
        Assert.True(Math.Abs(losses[0] - Steps(family, TestDevice.Current, "shared", 0.3, seed: 6)[0])
            > 1e-3 * losses[0], "another seed drops the same");
    }

    [Fact]
    public void Dropout_drops_its_share_and_scales_the_rest()
    {
        TestDevice.Require();
        using var scope = NewDisposeScope();
        using Generator random = new Generator().manual_seed(3);
        Tensor input = ones(1000, 1000, device: TestDevice.Current);
        Tensor kept = Dropout.Kept(input, 0.3, random)!, next = Dropout.Kept(input, 0.3, random)!;
        Assert.True(((kept == Number(0)) | ((kept - Number(1 / 0.7)).abs() < Number(1e-6))).all().item<bool>());
        double share = (kept == Number(0)).to(ScalarType.Float64).mean().item<double>(),
            both = ((kept == Number(0)) & (next == Number(0))).to(ScalarType.Float64).mean().item<double>();
        Assert.InRange(share, 0.3 - 0.003, 0.3 + 0.003); // 6 standard deviations: √(0.3 · 0.7 / 1e6) is 0.00046
        Assert.InRange(both, 0.09 - 0.002, 0.09 + 0.002);
    }

    [Theory]
    [InlineData("nf4"), InlineData("int8"), InlineData("bfloat16")]
    public void Steps_on_a_quantised_base_are_those_of_the_processor(string format)
    {
        TestDevice.Require();
        foreach (string family in (string[])["llama", "gpt2"])
            foreach (string way in (string[])["shared", "checkpointed"])
                AssertNear(Steps(family, CPU, way, 0, baseDtype: format),
                    Steps(family, TestDevice.Current, way, 0, baseDtype: format), Tolerance, family + " " + way);
    }

    [Theory]
    [InlineData(WeightFormats.Auto, false), InlineData(WeightFormats.Auto, true), InlineData("nf4", false),
        InlineData("nf4", true)]
    public void Tensors_do_not_grow_with_steps(string format, bool checkpointing)
    {
        TestDevice.Require();
        using var golden = new Golden("llama", baseDtype: format);
        using Adapter adapter = Attached(golden, 0.3);
        using var runner = new StepRunner(new CausalObjective(golden.Model.Decoder), new TrainedAdapter(adapter),
            new TrainerOptions { GradientCheckpointing = checkpointing });
        StepBatches step = Step(golden);
        for (int i = 1; i <= 5; i++) runner.Run(step, 1e-3, i);
        long before = Tensor.TotalCount;
        for (int i = 6; i <= 25; i++) runner.Run(step, 1e-3, i);
        Assert.InRange(Tensor.TotalCount, 1, before);
    }

    // Other devices go backward on a thread of torch's own.
    [Fact]
    public void An_exception_in_the_backward_pass_reaches_who_runs_the_step()
    {
        TestDevice.Require();
        using var golden = new Golden("llama");
        using Adapter adapter = Attached(golden, 0);
        golden.Model.Decoder.LinearLayers.First().Slot.Attach(new FailingSlot());
        using var runner =
            new StepRunner(
                new CausalObjective(golden.Model.Decoder), new TrainedAdapter(adapter),
                new TrainerOptions { GradientCheckpointing = true });
        StepBatches step = Step(golden);
        Assert.Equal("no second pass",
            Assert.Throws<InvalidOperationException>(() => runner.Run(step, 1e-3, 1)).Message);
        Assert.True(double.IsFinite(runner.Run(step, 1e-3, 2).Loss)); // it fails once
    }

    [Fact]
    public void A_quantised_folder_is_written_on_the_processor_alone()
    {
        TestDevice.Require();
        Assert.SkipWhen(TestDevice.Current.type == DeviceType.CPU, "the processor writes it");
        using var golden = new Golden("llama", baseDtype: "nf4");
        using var folder = new TemporaryFolder();
        string problem = Assert.Throws<InputException>(
            () => QuantizedFolder.Write(golden.Model, folder["written"])).Message;
        Assert.Contains("Open it with device cpu", problem, StringComparison.Ordinal);
    }

    // The second pass is that of a block that is computed again.
    private sealed class FailingSlot : ISlotAdapter
    {
        private int passes;

        public Tensor Forward(Tensor input, InnerLayer inner, Generator? dropout) =>
            ++passes == 2 ? throw new InvalidOperationException("no second pass") : inner.Forward(input);
    }

    // Loss and norm of the gradients of each step.
    private static double[] Steps(
        string family, Device device, string way, double dropout, long seed = 5, string baseDtype = WeightFormats.Auto)
    {
        using var golden = new Golden(family, baseDtype: baseDtype, device: device);
        using Adapter adapter = Attached(golden, dropout);
        var batching = new RowBatching { Packing = way != "padded", SharePrompts = way == "packed" ? PromptSharing.Off
            : PromptSharing.InStep };
        using var runner =
            new StepRunner(new CausalObjective(golden.Model.Decoder, batching), new TrainedAdapter(adapter),
            new TrainerOptions { Seed = seed, GradientCheckpointing = way == "checkpointed" });
        StepBatches step = Step(golden);
        return [.. Enumerable.Range(1, 4).Select(number => runner.Run(step, Rate, number))
            .SelectMany(outcome => new[] { outcome.Loss, outcome.GradientNorm })];
    }

    private static StepBatches Step(Golden golden)
    {
        TokenizedExample[] rows = PackingTests.Rows(golden);
        return new StepBatches([rows[..6], rows[6..]], rows.Sum(row => (long)row.PredictedLabels));
    }

    private static Adapter Attached(Golden golden, double dropout)
    {
        var config = new LoraConfig { Rank = 3, Dropout = dropout, TargetModules = ModuleSelection.AllLinear,
            InitLoraWeights = InitialWeights.False };
        Adapter adapter = Adapter.Create(golden.Model, config, seed: 1);
        adapter.Attach();
        return adapter;
    }

    private static void AssertNear(double[] expected, double[] found, double tolerance, string what)
    {
        Assert.Equal(expected.Length, found.Length);
        for (int i = 0; i < expected.Length; i++)
            Assert.True(Math.Abs(expected[i] - found[i]) <= tolerance * Math.Abs(expected[i]),
                $"{what}, step {i / 2 + 1}: {found[i]}, expected {expected[i]}");
    }
}
