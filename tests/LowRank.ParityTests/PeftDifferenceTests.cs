using LowRank.Adapters;
using LowRank.Kernels;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.ParityTests;

/// <summary>Where adapters differ from PEFT's on purpose: docs/methods.md says why.</summary>
public sealed class PeftDifferenceTests
{
    private const double Tolerance = 1e-4; // absolute, on float32 logits

    [Theory, InlineData("pissa"), InlineData("olora")]
    public void A_start_takes_its_part_of_GPT2s_transposed_weights_too(string name)
    {
        using var golden = new Golden("gpt2");
        using var scope = NewDisposeScope();
        IAdapterMethod method = AdapterMethods.Get(name);
        // wider than long
        var shared = new LoraConfig { Rank = 4, Alpha = 8, TargetModules = ModuleSelection.Create("c_attn", "c_fc") };
        Tensor before = golden.Model.Decoder.Forward(golden.Read("input_ids"));
        using Adapter adapter = Adapter.Create(golden.Model, method.Configure(shared), 1);
        Assert.All(adapter.Weights, weight => Assert.NotEqual(0, weight.Value.abs().max().item<float>()));
        adapter.Attach();
        Assert.InRange(
            Golden.LargestDeviation(golden.Model.Decoder.Forward(golden.Read("input_ids")), before), 0, Tolerance);
    }

    [Theory, InlineData("pissa"), InlineData("olora")]
    public void A_start_with_own_ranks_and_rsLoRAs_scale_is_saved_right_for_the_untouched_base(string name)
    {
        using var golden = new Golden("qwen2");
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        IAdapterMethod method = AdapterMethods.Get(name);
        var shared = new LoraConfig
        {
            Rank = 4, Alpha = 8, UseRsLora = true,
                TargetModules = ModuleSelection.Create("q_proj", "v_proj", "down_proj"),
            RankPattern = new OrderedDictionary<string, int> { ["q_proj"] = 2 },
                AlphaPattern = new OrderedDictionary<string, ConfigNumber> { ["v_proj"] = 3.0 },
        };
        Tensor before = golden.Model.Decoder.Forward(golden.Read("input_ids")), trained;
        using (Adapter adapter = Adapter.Create(golden.Model, method.Configure(shared), 1))
        {
            adapter.Attach();
            using (no_grad())
                foreach ((string _, Tensor weight) in adapter.TrainedWeights) weight.mul_(Number(1.3));
            trained = golden.Model.Decoder.Forward(golden.Read("input_ids"));
            adapter.Detach();
            adapter.Save(folder["saved"]);
        }
        Assert.True(Golden.LargestDeviation(trained, before) > 0.01, "the change is too small to tell");
        using Adapter again = Adapter.Load(folder["saved"], golden.Model);
        Assert.Equal("true", ((LoraConfig)again.Config).InitLoraWeights.Name);
        again.Attach();
        Assert.InRange(
            Golden.LargestDeviation(golden.Model.Decoder.Forward(golden.Read("input_ids")), trained), 0, Tolerance);
    }

    [Fact]
    public void Dropout_that_leaves_out_every_output_leaves_the_base()
    {
        using var scope = NewDisposeScope();
        using Generator random = new Generator().manual_seed(1);
        (Tensor, Tensor) Pair() => (ones(2, 1), ones(1, 3));
        using var layer = new LoHaLayer(Pair(), Pair(), 1, 0.9, 0);
        Tensor input = ones(1, 3);
        float[][] results =
            [.. Enumerable.Range(0, 200)
            .Select(_ => layer.Forward(input, new InnerLayer(x => zeros(1, 2)), random).data<float>().ToArray())];
        Assert.All(results, result => Assert.All(result, value => Assert.True(float.IsFinite(value))));
        Assert.Contains(results, result => result.All(value => value == 0)); // in four of five
        Assert.Contains(results, result => result.Any(value => value != 0));
    }
}
