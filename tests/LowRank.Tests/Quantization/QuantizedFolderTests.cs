using System.Text;
using System.Text.Json.Nodes;
using LowRank.Adapters;
using LowRank.Adapters.Operations;
using LowRank.IO;
using LowRank.Models;
using LowRank.Quantization;
using LowRank.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Tests.Quantization;

public sealed class QuantizedFolderTests
{
    private const string Weight = "model.layers.0.self_attn.q_proj.weight";

    private static readonly string Config =
        TinyModel.With(TinyModel.With(TinyModel.Llama, "hidden_size", 64), "intermediate_size", 128);

    [Theory]
    [InlineData("nf4", false), InlineData("int8", false), InlineData("nf4", true), InlineData("int8", true)]
    public void A_written_folder_computes_as_the_model_that_was_quantised_on_load(string format, bool isGpt2)
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using var tiny = new TinyModel(isGpt2 ? TinyModel.Gpt2 : Config);
        tiny.Save();
        using PretrainedModel onLoad = PretrainedModel.Open(tiny.Path, baseDtype: format);
        QuantizedFolder.Write(onLoad, folder["q"]);
        using PretrainedModel written = PretrainedModel.Open(folder["q"]);
        Assert.Equal(onLoad.Network.PackedWeights.Keys, written.Network.PackedWeights.Keys);
        Assert.Equal(tiny.Model.Network.ParameterCount, written.Network.ParameterCount);
        Tensor ids = TinyModel.Ids(1, 5, 9, 2);
        Assert.True(onLoad.Decoder.Forward(ids).eq(written.Decoder.Forward(ids)).all().item<bool>());

        // Expanded, it computes the same in float32, and the float32 model is another.
        using PretrainedModel expanded = PretrainedModel.Open(folder["q"], baseDtype: "float32");
        Assert.Empty(expanded.Network.PackedWeights);
        Assert.InRange(
            (expanded.Decoder.Forward(ids) - written.Decoder.Forward(ids)).abs().max().item<float>(), 0, 1e-5);
        Assert.True((tiny.Model.Decoder.Forward(ids) - written.Decoder.Forward(ids)).abs().max().item<float>() > 1e-4);
    }

    [Fact]
    public void The_config_says_what_transformers_needs_and_the_summary_counts_weights()
    {
        using var folder = new TemporaryFolder();
        using var tiny = new TinyModel(Config);
        tiny.Save();
        using (PretrainedModel model = PretrainedModel.Open(tiny.Path, baseDtype: "nf4"))
            QuantizedFolder.Write(model, folder["q"]);
        JsonObject section = JsonNode.Parse(File.ReadAllText(Path.Combine(folder["q"], "config.json")))![
            "quantization_config"]!.AsObject();
        Assert.Equal(("bitsandbytes", true, "nf4", true, "uint8"),
            (section["quant_method"]!.GetValue<string>(), section["load_in_4bit"]!.GetValue<bool>(),
            section["bnb_4bit_quant_type"]!.GetValue<string>(), section["bnb_4bit_use_double_quant"]!.GetValue<bool>(),
            section["bnb_4bit_quant_storage"]!.GetValue<string>()));
        Assert.Equal(["lm_head"], section["llm_int8_skip_modules"]!.AsArray().Select(name => name!.GetValue<string>()));
        ModelSummary before = ModelSummary.Read(tiny.Path), after = ModelSummary.Read(folder["q"]);
        Assert.Equal(before.Parameters, after.Parameters);
        Assert.Equal(["nf4", "F32"], after.DataTypes.Select(type => type.Key));
        Assert.InRange(after.Bytes, 0, before.Bytes / 2);
        using SafeTensorsFile file = SafeTensorsFile.Open(Path.Combine(folder["q"], "model.safetensors"));
        string[] endings =
            ["", ".absmax", ".nested_absmax", ".nested_quant_map", ".quant_map", ".quant_state.bitsandbytes__nf4"];
        Assert.All(endings, ending => Assert.Contains(Weight + ending, file.Entries.Keys));
        Assert.Equal([64 * 64 / 2, 1], file.Entries[Weight].Shape);
    }

    public static TheoryData<string, string> Damages => new()
    {
        { "missing state", "quant_state.bitsandbytes__nf4, which says how, is missing" },
        { "state", "not the JSON that bitsandbytes writes" },
        { "shape", "nf4 [64, 32], expected [64, 64]" },
        { "levels", "not NF4's table of 16 levels" },
        { "absmax", "absmax is U8 [7], expected U8 [64]" },
        { "scales", "nested_absmax has a value that is not finite" },
        { "map", "nested_quant_map is missing; expected F32 [256]" },
        { "codes", "q_proj.weight is U8 [100, 1], expected U8 [2048, 1]" },
        { "block", "blocksize is 63, expected a power of two" },
        { "fp4", "is quantised as fp4" },
    };

    [Theory, MemberData(nameof(Damages))]
    public void Damaged_tensors_are_refused_and_the_message_says_which(string damage, string expected)
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        using var tiny = new TinyModel(Config);
        tiny.Save();
        using (PretrainedModel model = PretrainedModel.Open(tiny.Path, baseDtype: "nf4"))
            QuantizedFolder.Write(model, folder["q"]);
        Dictionary<string, Tensor> tensors;
        string path = Path.Combine(folder["q"], "model.safetensors"), state = Weight + ".quant_state.bitsandbytes__nf4";
        using (SafeTensorsFile file = SafeTensorsFile.Open(path))
            tensors = file.Entries.Keys.ToDictionary(key => key, key => file.Map(key).clone());
        string text = Encoding.UTF8.GetString(tensors[state].data<byte>().ToArray());
        switch (damage)
        {
            case "missing state": tensors.Remove(state); break;
            case "state": tensors[state] = Bytes("{\"quant_type\": "); break;
            case "shape": tensors[state] = Bytes(text.Replace("[64, 64]", "[64, 32]"));
                tensors[Weight] = tensors[Weight].narrow(0, 0, 1024);
                tensors[Weight + ".absmax"] = tensors[Weight + ".absmax"].narrow(0, 0, 32); break;
            case "levels": tensors[Weight + ".quant_map"][3] = tensor(-0.4f); break;
            case "absmax": tensors[Weight + ".absmax"] = tensors[Weight + ".absmax"].narrow(0, 0, 7); break;
            case "scales": tensors[Weight + ".nested_absmax"][0] = tensor(float.NaN); break;
            case "map": tensors.Remove(Weight + ".nested_quant_map"); break;
            case "codes": tensors[Weight] = tensors[Weight].narrow(0, 0, 100); break;
            case "block": tensors[state] = Bytes(text.Replace("\"blocksize\": 64", "\"blocksize\": 63")); break;
            case "fp4": tensors[Weight + ".quant_state.bitsandbytes__fp4"] = tensors[state];
                tensors.Remove(state); break;
        }
        SafeTensorsWriter.Write(path, [.. tensors]);
        InputException error = Assert.Throws<InputException>(() => PretrainedModel.Open(folder["q"]));
        Assert.Contains(expected, error.Message);
        Assert.Contains("layers.0.self_attn.q_proj", error.Message);
    }

    [Fact]
    public void Other_methods_of_quantisation_are_refused()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(
            folder["config.json"],
            TinyModel.With(Config, "quantization_config", new JsonObject { ["quant_method"] = "gptq", ["bits"] = 4 }));
        Assert.Contains(
            "gptq", Assert.Throws<InputException>(() => PretrainedModel.FromScratch(folder.Path, 1)).Message);
    }

    [Fact]
    public void A_config_that_asks_for_quantised_weights_has_plain_ones_quantised()
    {
        using var tiny =
            new TinyModel(
                TinyModel.With(Config, "quantization_config", QuantizationConfig.Section("nf4", ["lm_head"])));
        tiny.Save();
        using PretrainedModel model = PretrainedModel.Open(tiny.Path);
        Assert.Equal(14, model.Network.PackedWeights.Count);
        using PretrainedModel plain = PretrainedModel.Open(tiny.Path, baseDtype: "float32");
        Assert.Empty(plain.Network.PackedWeights);
    }

    [Fact]
    public void What_a_packed_weight_cannot_do_is_refused_with_its_reason()
    {
        using var folder = new TemporaryFolder();
        using var tiny = new TinyModel(Config);
        tiny.Save();
        Assert.Contains(
            "every weight cannot be trained",
            Assert.Throws<InputException>(
                () => PretrainedModel.Open(tiny.Path, trainable: true, baseDtype: "nf4")).Message);
        Assert.Contains(
            "expected one of auto, float32, bfloat16, int8, nf4",
            Assert.Throws<InputException>(() => PretrainedModel.Open(tiny.Path, baseDtype: "fp8")).Message);
        using PretrainedModel model = PretrainedModel.Open(tiny.Path, baseDtype: "nf4");
        var saves = new LoraConfig { Rank = 2, Alpha = 4, TargetModules = ModuleSelection.Create(["v_proj"]),
            ModulesToSave = ["q_proj"] };
        Assert.Contains(
            "kept in nf4, which cannot be trained",
            Assert.Throws<InputException>(() => Adapter.Create(model, saves, 1)).Message);
        using PretrainedModel half = PretrainedModel.Open(tiny.Path, baseDtype: "bfloat16");
        Assert.Contains("nf4", Assert.Throws<InputException>(() => QuantizedFolder.Write(half, folder["q"])).Message);
        QuantizedFolder.Write(model, folder["q"]);
        Assert.Contains(
            "every weight cannot be trained",
            Assert.Throws<InputException>(() => PretrainedModel.Open(folder["q"], trainable: true)).Message);
        Assert.Contains(
            "is quantised",
            Assert.Throws<InputException>(() => AdapterExtraction.Extract(folder["q"], tiny.Path, 2)).Message);
    }

    [Fact]
    public void Only_linear_layers_of_the_blocks_are_packed()
    {
        using var tiny = new TinyModel(Config);
        tiny.Save();
        using PretrainedModel model = PretrainedModel.Open(tiny.Path, baseDtype: "nf4");
        Assert.All(model.Network.PackedWeights.Keys, name => Assert.Contains("_proj.weight", name));
        Assert.Equal(14, model.Network.PackedWeights.Count);
        Assert.Contains("lm_head.weight", model.Network.Parameters.Keys);
        Assert.Contains("model.embed_tokens.weight", model.Network.Parameters.Keys);
        Assert.Contains("model.norm.weight", model.Network.Parameters.Keys);
    }

    private static Tensor Bytes(string text) => tensor(Encoding.UTF8.GetBytes(text), ScalarType.Byte);
}
