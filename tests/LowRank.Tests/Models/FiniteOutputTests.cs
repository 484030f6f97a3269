using LowRank.Adapters;
using LowRank.Adapters.Operations;
using LowRank.Generation;
using LowRank.Models;
using static TorchSharp.torch;

namespace LowRank.Tests.Models;

/// <summary>Models that give no numbers, and where that began.</summary>
public sealed class FiniteOutputTests
{
    private static readonly LoraConfig Config =
        new() { Rank = 2, Alpha = 4, TargetModules = ModuleSelection.Create(["q_proj", "down_proj"]) };

    private static readonly GenerationOptions Drawn = new() { MaxNewTokens = 4, Temperature = 0.7 };

    private static void Spoil(Tensor weight, float value)
    {
        using var noGradient = no_grad();
        using Tensor first = weight.view(-1).narrow(0, 0, 1);
        first.fill_(Number(value));
    }

    private static string Refused(TinyModel tiny, GenerationOptions? options = null) =>
        Assert.Throws<NonFiniteException>(
            () => new TextGenerator(tiny.Model.Decoder)
            .Generate([[1, 2, 3], [4]], options ?? new GenerationOptions { MaxNewTokens = 4 })).Message;

    [Theory]
    [InlineData(float.NaN, "NaN")]
    [InlineData(float.PositiveInfinity, "infinite")]
    public void A_weight_of_the_base_is_named(float value, string name)
    {
        using var tiny = new TinyModel();
        Spoil(tiny.Model.Network.Parameters["model.layers.1.mlp.up_proj.weight"], value);
        string expected =
            "The model gives no finite logits, and no token can be chosen: the base's weight " +
            $"model.layers.1.mlp.up_proj.weight has 1 of 384 numbers that are {name}.";
        Assert.StartsWith(expected, Refused(tiny));
        Assert.StartsWith(expected, Refused(tiny, Drawn));
    }

    [Fact]
    public void A_tensor_of_the_adapter_is_named()
    {
        using var tiny = new TinyModel();
        using var adapter = Adapter.Create(tiny.Model, Config, 1);
        adapter.Attach();
        KeyValuePair<string, Tensor> broken = adapter.Weights[^1];
        Spoil(broken.Value, float.NaN);
        Assert.Contains($"the adapter's tensor {broken.Key["base_model.model.".Length..]} has 1 of", Refused(tiny));
        adapter.Detach();
        Assert.Equal(2, new TextGenerator(tiny.Model.Decoder).Generate([[1, 2, 3], [4]], Drawn).Count);
    }

    [Fact]
    public void A_module_that_the_adapter_holds_whole_is_the_adapters()
    {
        using var tiny = new TinyModel();
        using var adapter = Adapter.Create(tiny.Model, Config with { ModulesToSave = ["lm_head"] }, 1);
        adapter.Attach();
        Spoil(tiny.Model.Network.Parameters["lm_head.weight"], float.NaN);
        Assert.Contains("the adapter's tensor lm_head.weight has 1 of 512", Refused(tiny));
    }

    [Fact]
    public void Finite_weights_whose_products_are_not_name_the_first_layer()
    {
        using var tiny = new TinyModel();
        using (no_grad())
        {
            tiny.Model.Network.Parameters["model.layers.1.mlp.up_proj.weight"].fill_(Number(1e30f));
            tiny.Model.Network.Parameters["model.layers.1.mlp.gate_proj.weight"].fill_(Number(1e30f));
        }
        string message = Refused(tiny);
        Assert.Contains(
            "every weight is finite, and what reaches model.layers.1.mlp.down_proj is the first that is not, after " +
            "model.layers.1.mlp.", message);
        Assert.Contains("leave the range of float32", message);
        Assert.All(tiny.Model.Network.LinearLayers, layer => Assert.Empty(layer.Slot.Adapters));
    }

    [Fact]
    public void Files_with_numbers_that_are_not_finite_are_refused_by_the_operations_on_them()
    {
        using TinyModel good = new(), bad = new();
        good.Save();
        bad.Save((name, weight) =>
            (name, name == "model.layers.0.mlp.up_proj.weight"
                ? full_like(weight, Number(float.PositiveInfinity)) : weight));
        Assert.Contains("model.layers.0.mlp.up_proj.weight has numbers that are not finite",
            Assert.Throws<NonFiniteException>(() => AdapterExtraction.Extract(good.Path, bad.Path, 2)).Message);
        Assert.Contains(
            bad.Path, Assert.Throws<NonFiniteException>(
                () => AdapterExtraction.Extract(bad.Path, good.Path, 2)).Message);
        using PretrainedModel model = PretrainedModel.Open(bad.Path);
        using var adapter = Adapter.Create(model, Config, 1);
        using var folder = new TemporaryFolder();
        Assert.Contains("model.layers.0.mlp.up_proj.weight is not finite, in",
            Assert.Throws<NonFiniteException>(() => AdapterMerge.Write(model, adapter, folder["merged"])).Message);
        Assert.False(Directory.Exists(folder["merged"]));
    }

    [Theory]
    [InlineData(1e308, null)]
    [InlineData(4, 1e308)]
    public void An_alpha_that_float32_cannot_hold_is_refused(double alpha, double? pattern)
    {
        using var tiny = new TinyModel();
        LoraConfig config = Config with { Alpha = alpha };
        if (pattern is { } large)
            config = config with { AlphaPattern = new OrderedDictionary<string, ConfigNumber> { ["q_proj"] = large } };
        Assert.Contains(
            "within float32", Assert.Throws<InputException>(() => Adapter.Create(tiny.Model, config, 1)).Message);
    }

    [Fact]
    public void Sizes_that_are_too_large_together_are_named()
    {
        using var tiny = new TinyModel();
        tiny.Save();
        string config =
            TinyModel.With(
                TinyModel.With(TinyModel.With(TinyModel.Llama, "num_attention_heads", 200), "num_key_value_heads", 200),
                "head_dim", 1 << 24);
        File.WriteAllText(Path.Combine(tiny.Path, "config.json"), config);
        Assert.Contains("head_dim is 16777216; supported here: at most 16777216 values in all 200 heads",
            Assert.Throws<InputException>(() => PretrainedModel.Open(tiny.Path)).Message);
    }
}
