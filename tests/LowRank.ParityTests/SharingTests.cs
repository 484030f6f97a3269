using System.Text.Json.Nodes;
using LowRank.Adapters;
using LowRank.IO;
using LowRank.Models;
using LowRank.Training;

namespace LowRank.ParityTests;

/// <summary>Weights that layers share, by the config and by the file, against transformers 5.12 and PEFT.</summary>
public sealed class SharingTests
{
    public static TheoryData<string> Checkpoints => SharingCase.Names("sharing");

    public static TheoryData<string> Adapters => SharingCase.Names("tied");

    public static TheoryData<string, string> Variants =>
    [
        .. Directory.EnumerateDirectories(Path.Combine(AppContext.BaseDirectory, "Fixtures", "config_keys"))
            .Order(StringComparer.Ordinal)
            .SelectMany(folder => JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "variants.json")))!.AsObject()
            .Select(variant => (Path.GetFileName(folder), variant.Key))),
    ];

    [Theory, MemberData(nameof(Checkpoints))]
    public void A_files_own_tensor_counts_and_not_the_config(string name)
    {
        using var reference = new SharingCase("sharing", name);
        using PretrainedModel model = SharingCase.Open(reference.Folder);
        Assert.InRange(reference.Deviation(model, "logits"), 0, SharingCase.Tolerance);
    }

    [Theory, MemberData(nameof(Checkpoints))]
    public void Training_every_weight_keeps_what_is_shared_and_what_is_not(string name)
    {
        using var reference = new SharingCase("sharing", name);
        using var folder = new TemporaryFolder();
        using (PretrainedModel model = PretrainedModel.Open(
            reference.Folder, TestDevice.Current, trainable: true, head: new HeadRequest(HeadKind.LanguageModel)))
            new FullModel(model).Save(folder["saved"]);
        using PretrainedModel saved = SharingCase.Open(folder["saved"]);
        Assert.InRange(reference.Deviation(saved, "logits"), 0, SharingCase.Tolerance);
    }

    [Theory, MemberData(nameof(Checkpoints))]
    public void Merging_keeps_what_is_shared_and_what_is_not(string name)
    {
        using var reference = new SharingCase("sharing", name);
        using var folder = new TemporaryFolder();
        using (PretrainedModel model = SharingCase.Open(reference.Folder))
        // B is zero
        using (Adapter adapter = Adapter.Create(
            model, new LoraConfig { Rank = 2, TargetModules = ModuleSelection.AllLinear }, 1))
            AdapterMerge.Write(model, adapter, folder["merged"]);
        using PretrainedModel merged = SharingCase.Open(folder["merged"]);
        Assert.InRange(reference.Deviation(merged, "logits"), 0, SharingCase.Tolerance);
    }

    [Theory, MemberData(nameof(Adapters))]
    public void An_adapter_of_a_shared_weight_computes_as_in_PEFT_and_merges(string name)
    {
        using var reference = new SharingCase("tied");
        using var folder = new TemporaryFolder();
        using PretrainedModel model = SharingCase.Open(reference.Folder);
        using Adapter adapter = Adapter.Load(Path.Combine(reference.Folder, name), model);
        adapter.Attach();
        Assert.InRange(reference.Deviation(model, name), 0, SharingCase.Tolerance);
        AdapterMerge.Write(model, adapter, folder["merged"]);
        using (PretrainedModel merged = SharingCase.Open(folder["merged"]))
            Assert.InRange(reference.Deviation(merged, name), 0, SharingCase.Tolerance);
        if (!name.EndsWith("_tied", StringComparison.Ordinal)) return; // memory holds one weight for both
        adapter.Merge();
        Assert.InRange(reference.Deviation(model, name), 0, SharingCase.Tolerance);
    }

    [Theory, MemberData(nameof(Adapters))]
    public void An_adapter_of_a_shared_weight_is_saved_with_the_tensors_that_PEFT_reads(string name)
    {
        using var reference = new SharingCase("tied");
        using var folder = new TemporaryFolder();
        using PretrainedModel model = SharingCase.Open(reference.Folder);
        AdapterConfig config = AdapterConfig.Load(Path.Combine(reference.Folder, name));
        using (Adapter made = Adapter.Create(model, config, 7))
        {
            made.Attach();
            foreach ((_, TorchSharp.torch.Tensor weight) in made.TrainedWeights)
                weight.add_(Number(0.1), Number(1)); // as training would
            made.Save(folder["made"]);
        }
        using SafeTensorsFile ours = SafeTensorsFile.Open(Path.Combine(folder["made"], Adapter.FileName)),
            theirs = SafeTensorsFile.Open(Path.Combine(reference.Folder, name, Adapter.FileName));
        Assert.Equal(theirs.Entries.Keys.Where(key => !key.Contains(".base_layer.", StringComparison.Ordinal))
            .Order(StringComparer.Ordinal), ours.Entries.Keys.Order(StringComparer.Ordinal));
        using Adapter read = Adapter.Load(folder["made"], model);
        read.Save(folder["again"]);
        Assert.Equal(File.ReadAllBytes(Path.Combine(folder["made"], Adapter.FileName)),
            File.ReadAllBytes(Path.Combine(folder["again"], Adapter.FileName)));
    }

    [Fact]
    public void A_new_adapter_of_half_a_shared_weight_says_so_and_tying_without_effect_is_refused()
    {
        using var reference = new SharingCase("tied");
        using PretrainedModel model = SharingCase.Open(reference.Folder);
        var config = new LoraConfig { Rank = 2, TargetModules = ModuleSelection.Create("q_proj"),
            ModulesToSave = ["embed_tokens"] };
        using (Adapter half = Adapter.Create(model, config, 1))
            Assert.Contains("ensure_weight_tying", Assert.Single(half.Warnings));
        using (Adapter both = Adapter.Create(model, config with { EnsureWeightTying = true }, 1))
            Assert.Empty(both.Warnings);
        Assert.Contains(
            "ensure_weight_tying",
            Assert.Throws<InputException>(
                () => Adapter.Create(
                    model, config with { EnsureWeightTying = true, ModulesToSave = null }, 1)).Message);
        using var other = new SharingCase("sharing", "llama_head");
        using PretrainedModel untied = SharingCase.Open(other.Folder);
        Assert.Contains(
            "share no weight",
            Assert.Throws<InputException>(
                () => Adapter.Create(untied, config with { EnsureWeightTying = true }, 1)).Message);
    }

    [Theory, MemberData(nameof(Variants))]
    public void A_config_key_is_obeyed_where_transformers_obeys_it(string family, string variant)
    {
        using var reference = new SharingCase("config_keys", family);
        using var folder = new TemporaryFolder();
        JsonObject config = JsonNode.Parse(File.ReadAllText(Path.Combine(reference.Folder, "config.json")))!.AsObject();
        foreach ((string key, JsonNode? value) in JsonNode.Parse(
            File.ReadAllText(Path.Combine(reference.Folder, "variants.json")))![variant]!.AsObject())
            config[key] = value?.DeepClone();
        File.WriteAllText(folder["config.json"], config.ToJsonString());
        File.Copy(Path.Combine(reference.Folder, Checkpoint.SingleFileName), folder[Checkpoint.SingleFileName]);
        using PretrainedModel model = SharingCase.Open(folder.Path);
        Assert.InRange(reference.Deviation(model, "logits." + variant), 0, SharingCase.Tolerance);
        Assert.Empty(model.Notes);
    }
}
