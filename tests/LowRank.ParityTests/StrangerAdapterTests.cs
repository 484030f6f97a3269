using System.Text.Json.Nodes;
using LowRank.Adapters;
using LowRank.IO;
using LowRank.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.ParityTests;

/// <summary>Adapters as other programs and older versions of PEFT left them, which PEFT opens.</summary>
public sealed class StrangerAdapterTests
{
    private static readonly string[] Flags =
        ["fan_in_fan_out", "inference_mode", "lora_bias", "use_dora", "use_rslora", "use_qalora",
        "ensure_weight_tying"];

    [Theory]
    [InlineData("bert_question_answering")]
    [InlineData("bert_token_classification")]
    [InlineData("llama_sequence_classification")]
    public void A_head_that_modules_to_save_leaves_out_is_found_by_the_task_and_null_flags_are_false(string name)
    {
        using var folder = new TemporaryFolder();
        string adapter = Changed(folder, name, config =>
        {
            config["modules_to_save"] = null;
            foreach (string flag in Flags) config[flag] = null;
        }, tensors => tensors);
        RequireSame(name, adapter);
    }

    [Fact]
    public void Keys_may_hold_the_adapters_name()
    {
        using var folder = new TemporaryFolder();
        const string Name = "bert_question_answering";
        static string Named(string key) => key.Contains("lora_", StringComparison.Ordinal)
            ? key.Replace(".weight", ".default.weight", StringComparison.Ordinal)
            : key.Replace("qa_outputs.", "qa_outputs.modules_to_save.default.", StringComparison.Ordinal);
        string adapter = Changed(folder, Name, _ => { }, tensors =>
            [.. tensors.Select(tensor => KeyValuePair.Create(Named(tensor.Key), tensor.Value)),
                KeyValuePair.Create("base_model.model.qa_outputs.original_module.weight", zeros(2, 32))]);
        RequireSame(Name, adapter);
        string two = Changed(
            folder, Name, _ => { }, tensors =>
            [.. tensors.Select(
                (tensor, i) =>
                KeyValuePair.Create(
                    Named(tensor.Key).Replace("default", i % 2 == 0 ? "a" : "b", StringComparison.Ordinal),
                    tensor.Value))]);
        using var golden = new Golden(Name);
        Assert.Contains(
            "tensors of 2 adapters (\"a\", \"b\")",
            Assert.Throws<InputException>(() => Adapter.Load(two, golden.Model)).Message);
    }

    [Theory]
    [InlineData(1.0)]
    [InlineData(1.5)]
    public void Embeddings_saved_beside_an_adapter_are_the_bases_while_it_is_in_use(double factor)
    {
        using var folder = new TemporaryFolder();
        using var golden = new Golden("llama");
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        Tensor before = golden.Logits(), table = golden.Model.Network.TokenEmbedding.Weight.clone() * Number(factor);
        string plain = Path.Combine(golden.Folder, "lora");
        string adapter =
            Changed(folder, "llama", _ => { },
            tensors => [.. tensors, KeyValuePair.Create("base_model.model.model.embed_tokens.weight", table)], "lora");
        using Adapter loaded = Adapter.Load(adapter, golden.Model), alone = Adapter.Load(plain, golden.Model);
        Assert.Equal(factor == 1 ? 0 : 1, loaded.Warnings.Count);
        Assert.Equal(alone.ParameterCount, loaded.ParameterCount);
        loaded.Attach();
        Tensor found = golden.Logits();
        loaded.Detach();
        Assert.Equal(0, Golden.LargestDeviation(before, golden.Logits()));
        alone.Attach();
        golden.Model.Network.TokenEmbedding.Weight.copy_(table);
        Assert.Equal(0, Golden.LargestDeviation(found, golden.Logits()));
    }

    [Fact]
    public void IA3_without_targets_takes_the_tables_of_PEFT()
    {
        using var folder = new TemporaryFolder();
        using var golden = new Golden("llama");
        using (Adapter made = Adapter.Create(golden.Model, new Ia3Config(), 1))
        {
            made.Attach();
            foreach ((_, Tensor weight) in made.TrainedWeights) weight.mul_(Number(1.1));
            made.Save(folder["ia3"]);
        }
        using Adapter whole = Adapter.Load(folder["ia3"], golden.Model);
        whole.Attach();
        using Tensor expected = golden.Logits();
        whole.Detach();
        Change(folder["ia3"], config => config["target_modules"] = config["feedforward_modules"] = null);
        using Adapter sparse = Adapter.Load(folder["ia3"], golden.Model);
        sparse.Attach();
        Assert.Equal(0, Golden.LargestDeviation(expected, golden.Logits()));
    }

    [Fact]
    public void A_key_of_a_later_version_is_told_where_it_is_set()
    {
        using var folder = new TemporaryFolder();
        using var golden = new Golden("llama");
        string adapter = Changed(folder, "llama", config =>
        {
            config["use_brand_new"] = true;
            config["brand_new_config"] = null;
            config["is_new"] = false;
        }, tensors => tensors, "lora");
        using Adapter loaded = Adapter.Load(adapter, golden.Model);
        Assert.Contains("\"use_brand_new\" is kept but has no effect", Assert.Single(loaded.Warnings));
    }

    [Fact]
    public void Layers_are_chosen_in_a_base_without_a_head_and_the_file_names_them_for_PEFT()
    {
        using var golden = new Golden("llama");
        using var folder = new TemporaryFolder();
        using PretrainedModel headless =
            PretrainedModel.Open(golden.Folder, TestDevice.Current, head: new HeadRequest(HeadKind.None));
        var config = new LoraConfig { Rank = 2, TargetModules = ModuleSelection.Create("q_proj"),
            LayersToTransform = LayerSelection.Create(1) };
        using Adapter adapter = Adapter.Create(headless, config, 1);
        Assert.Equal(["layers.1.self_attn.q_proj"], adapter.Layers.Keys);
        adapter.Save(folder["saved"]);
        AdapterConfig saved = AdapterConfig.Load(folder["saved"]);
        Assert.Null(saved.LayersToTransform);
        Assert.Equal(["layers.1.self_attn.q_proj"], saved.TargetModules!.Names!);
        using Adapter read = Adapter.Load(folder["saved"], headless);
        Assert.Equal(adapter.Layers.Keys, read.Layers.Keys);
    }

    private static void RequireSame(string name, string adapter)
    {
        using var golden = new Golden(name);
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        using Adapter expected = Adapter.Load(Path.Combine(golden.Folder, "trained"), golden.Model),
            found = Adapter.Load(adapter, golden.Model);
        expected.Attach();
        Tensor logits = golden.Logits();
        expected.Detach();
        found.Attach();
        Assert.Equal(0, Golden.LargestDeviation(logits, golden.Logits()));
    }

    private static string Changed(TemporaryFolder folder, string golden, Action<JsonObject> change,
        Func<IReadOnlyList<KeyValuePair<string, Tensor>>, IReadOnlyList<KeyValuePair<string, Tensor>>> tensors,
        string adapter = "trained")
    {
        string source = Path.Combine(AppContext.BaseDirectory, "Fixtures", "goldens", golden, adapter),
            target = Directory.CreateDirectory(folder[Guid.NewGuid().ToString("n")]).FullName;
        File.Copy(Path.Combine(source, AdapterConfig.FileName), Path.Combine(target, AdapterConfig.FileName));
        Change(target, change);
        using var scope = NewDisposeScope();
        using SafeTensorsFile file = SafeTensorsFile.Open(Path.Combine(source, Adapter.FileName));
        SafeTensorsWriter.Write(
            Path.Combine(target, Adapter.FileName),
            tensors([.. file.Entries.Keys.Select(key => KeyValuePair.Create(key, file.Map(key)))]));
        return target;
    }

    private static void Change(string folder, Action<JsonObject> change)
    {
        string path = Path.Combine(folder, AdapterConfig.FileName);
        JsonObject config = JsonNode.Parse(File.ReadAllText(path))!.AsObject();
        change(config);
        File.WriteAllText(path, config.ToJsonString());
    }
}
