using LowRank.Adapters;
using LowRank.IO;
using LowRank.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.ParityTests;

/// <summary>LoftQ against PEFT's own alternation (Reference/make_loftq_case.py), with an NF4 that is written out
/// here.</summary>
public sealed class LoftQTests : IDisposable
{
    private const double Tolerance = 1e-4; // absolute, on float32 logits and products

    private static readonly float[] Levels =
    [
        -1f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f,
            -0.18477343022823334f, -0.09105003625154495f, 0f,
        0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f, 0.44070982933044434f,
            0.5626170039176941f, 0.7229568362236023f, 1f,
    ];

    private readonly DisposeScope scope = NewDisposeScope();
    private readonly SafeTensorsFile io = SafeTensorsFile.Open(
        Path.Combine(AppContext.BaseDirectory, "Fixtures", "goldens", "methods", "loftq", "io.safetensors"));
    private readonly Golden golden = new("qwen2");

    private static AdapterConfig Config(double alpha) => AdapterMethods.Get("loftq").Configure(
        new LoraConfig { Rank = 4, Alpha = alpha, TargetModules = ["q_proj", "v_proj", "down_proj"] });

    [Theory, InlineData(1), InlineData(3)]
    public void The_alternation_equals_the_reference(int rounds)
    {
        (Tensor quantized, Tensor a, Tensor b) = LoftQDecomposition.Compute(io.Map("weight"), 4, rounds, Nf4);
        Assert.InRange(Golden.LargestDeviation(quantized, io.Map($"quantized.{rounds}")), 0, Tolerance);
        Assert.InRange(Golden.LargestDeviation(matmul(b, a), matmul(io.Map($"b.{rounds}"), io.Map($"a.{rounds}"))),
            0, Tolerance);
        // a direction's sign is free
        Assert.InRange(Golden.LargestDeviation(a.abs(), io.Map($"a.{rounds}").abs()), 0, 1e-3);
        double without = (io.Map("weight") - quantized).norm().item<float>(),
            with = (io.Map("weight") - quantized - matmul(b, a)).norm().item<float>();
        Assert.True(with < without, $"{with} and {without}");
    }

    [Theory, InlineData(4), InlineData(16)]
    public void On_a_quantised_base_it_begins_as_the_reference_whatever_the_scale(double alpha)
    {
        Quantize();
        Assert.InRange(Golden.LargestDeviation(Logits(), io.Map("logits.quantized")), 0, Tolerance);
        using Adapter adapter = Adapter.Create(golden.Model, Config(alpha), 1);
        adapter.Attach();
        // PEFT's, whose alpha was the rank
        Assert.InRange(Golden.LargestDeviation(Logits(), io.Map("logits")), 0, Tolerance);
        using var folder = new TemporaryFolder();
        adapter.Save(folder["adapter"]);
        adapter.Detach();
        Assert.Equal("true", ((LoraConfig)AdapterConfig.Load(folder["adapter"])).InitLoraWeights.Name);
        using Adapter again = Adapter.Load(folder["adapter"], golden.Model);
        again.Attach();
        Assert.InRange(Golden.LargestDeviation(Logits(), io.Map("logits")), 0, Tolerance);
    }

    /// <summary>The pairs of PEFT's replace_lora_weights_loftq on a base in NF4 with double quantisation
    /// (Reference/make_loftq_nf4_case.py).</summary>
    [Theory, InlineData(4), InlineData(16)]
    public void On_a_base_in_nf4_it_begins_as_the_reference(double alpha)
    {
        using SafeTensorsFile expected =
            SafeTensorsFile.Open(
                Path.Combine(AppContext.BaseDirectory, "Fixtures", "quantization", "loftq_nf4.safetensors"));
        using PretrainedModel model = PretrainedModel.Open(golden.Model.Folder, baseDtype: "nf4");
        Tensor Compute() => model.Decoder.Forward(io.Map("input_ids"), io.Map("attention_mask"));
        Assert.InRange(Golden.LargestDeviation(Compute(), expected.Map("logits.quantized")), 0, Tolerance);
        using Adapter adapter = Adapter.Create(model, Config(alpha), 1);
        adapter.Attach();
        Assert.InRange(Golden.LargestDeviation(Compute(), expected.Map("logits")), 0, Tolerance);
        using var folder = new TemporaryFolder();
        QuantizedFolder.Write(model, folder["quantised"]);
        using PretrainedModel alone = PretrainedModel.Open(folder["quantised"]);
        Assert.Contains(
            "only as nf4", Assert.Throws<InputException>(() => Adapter.Create(alone, Config(alpha), 1)).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_layer_that_was_left_as_it_is_begins_as_a_plain_pair_and_a_base_of_such_alone_is_refused()
    {
        Assert.Contains(
            "is not quantised", Assert.Throws<InputException>(() => Adapter.Create(golden.Model, Config(8), 1)).Message,
            StringComparison.Ordinal);
        Quantize("q_proj");
        using Adapter adapter = Adapter.Create(golden.Model, Config(8), 1);
        foreach ((string key, Tensor weight) in adapter.Weights)
            Assert.Equal(key.Contains("lora_B", StringComparison.Ordinal)
                && !key.Contains("q_proj", StringComparison.Ordinal), weight.count_nonzero().item<long>() == 0);
    }

    public void Dispose()
    {
        golden.Dispose();
        io.Dispose();
        scope.Dispose();
    }

    private Tensor Logits() => golden.Model.Decoder.Forward(io.Map("input_ids"), io.Map("attention_mask"));

    private void Quantize(params string[] names)
    {
        using var noGradient = no_grad();
        string[] chosen = names.Length > 0 ? names : ["q_proj", "v_proj", "down_proj"];
        foreach (AdaptableLayer layer in AdaptableLayer.From(golden.Model.Network).Values.Where(
            layer => chosen.Any(name => layer.Path.EndsWith("." + name, StringComparison.Ordinal))))
            layer.Matrix.copy_(Nf4(layer.Matrix));
    }

    private static Tensor Nf4(Tensor weight)
    {
        Tensor blocks = weight.reshape(-1, 64), largest = blocks.abs().amax([1L], keepdim: true),
            levels = tensor(Levels);
        Tensor nearest = ((blocks / largest).unsqueeze(-1) - levels).abs().argmin(-1);
        return (levels.index_select(0, nearest.view(-1)).view(blocks.shape) * largest).view(weight.shape);
    }
}
