using LowRank.Adapters;
using LowRank.Adapters.Files;

namespace LowRank.Tests.Adapters;

public sealed class AdapterLayoutTests
{
    private const string Q0 = "base_model.model.model.layers.0.self_attn.q_proj";

    [Theory]
    [InlineData("base_model.model.h.0.c_attn.lora_A.weight", "h.0.c_attn", nameof(AdapterTensorPart.LinearA))]
    [InlineData("base_model.model.h.0.c_attn.lora_B.weight", "h.0.c_attn", nameof(AdapterTensorPart.LinearB))]
    [InlineData("base_model.model.wte.lora_embedding_A", "wte", nameof(AdapterTensorPart.EmbeddingA))]
    [InlineData("base_model.model.wte.lora_embedding_B", "wte", nameof(AdapterTensorPart.EmbeddingB))]
    [InlineData("base_model.model.q.base_layer.bias", "q", nameof(AdapterTensorPart.AdaptedBias))]
    [InlineData("base_model.model.q.base_layer.weight", "q", nameof(AdapterTensorPart.AdaptedWeight))]
    [InlineData("base_model.model.q.lora_magnitude_vector", "q", nameof(AdapterTensorPart.Magnitude))]
    [InlineData("base_model.model.q.lora_B.bias", "q", nameof(AdapterTensorPart.OutputBias))]
    [InlineData("base_model.model.q.token_adapter.trainable_tokens_delta", "q", nameof(AdapterTensorPart.TokenRows))]
    [InlineData("base_model.model.q.bias", "q", nameof(AdapterTensorPart.Bias))]
    [InlineData("base_model.model.q.weight", "q", nameof(AdapterTensorPart.Weight))]
    public void A_key_goes_there_and_back(string key, string path, string name)
    {
        var part = Enum.Parse<AdapterTensorPart>(name);
        Assert.Equal((path, part), PeftTensorKeys.Parse(key));
        Assert.Equal(key, PeftTensorKeys.Key(path, part));
    }

    [Theory]
    [InlineData("model.q.lora_A.weight")]
    [InlineData("base_model.model.q.other")]
    [InlineData("base_model.model.lora_A.weight")]
    [InlineData("")]
    public void Other_keys_are_none(string key) =>
        Assert.NotEqual(AdapterTensorPart.LinearA, PeftTensorKeys.Parse(key)?.Part);

    [Fact]
    public void The_keys_of_A_and_B_depend_on_the_kind()
    {
        Assert.Equal("base_model.model.x.lora_A.weight", PeftTensorKeys.A("x", ModuleKind.Linear));
        Assert.Equal("base_model.model.x.lora_B.weight", PeftTensorKeys.B("x", ModuleKind.Conv1D));
        Assert.Equal("base_model.model.x.lora_embedding_A", PeftTensorKeys.A("x", ModuleKind.Embedding));
        Assert.Equal("base_model.model.x.lora_embedding_B", PeftTensorKeys.B("x", ModuleKind.Embedding));
    }

    [Fact]
    public void Biases_follow_the_setting()
    {
        string[] none = Keys(new()), adapted = Keys(new() { Bias = BiasTraining.Adapted }),
            all = Keys(new() { Bias = BiasTraining.All });
        Assert.Equal(4, none.Length);
        Assert.Equal([Q0 + ".base_layer.bias", "base_model.model.model.layers.1.self_attn.q_proj.base_layer.bias"],
            adapted.Except(none));
        Assert.Equal(["base_model.model.model.norm.bias"], all.Except(adapted));
    }

    [Fact]
    public void All_differences_are_reported_at_once()
    {
        AdapterLayout layout = Layout(new());
        Dictionary<string, long[]> file = layout.Tensors.ToDictionary(tensor => tensor.Key, tensor => tensor.Shape);
        Assert.Empty(layout.Problems(file));
        file.Remove(Q0 + ".lora_B.weight");
        file[Q0 + ".lora_A.weight"] = [4, 8];
        file[Q0 + ".lora_A.default.weight"] = [8, 8];
        file[Q0 + ".lora_magnitude_vector"] = [8];
        file["model.layers.0.self_attn.q_proj.lora_A.weight"] = [8, 8];
        file["base_model.model.model.layers.9.self_attn.q_proj.lora_A.weight"] = [8, 8];
        file["base_model.model.model.layers.0.mlp.down_proj.lora_A.weight"] = [8, 16];
        file["base_model.model.model.norm.weight"] = [8];
        file["base_model.model.something"] = [1];
        string[] expected =
        [
            "base_model.model.model.layers.0.mlp.down_proj.lora_A.weight: its module is not among the targets",
            Q0 + ".lora_A.default.weight: holds the adapter's name \"default\"",
            Q0 + ".lora_magnitude_vector: belongs to DoRA",
            "base_model.model.model.layers.9.self_attn.q_proj.lora_A.weight: the model has no module " +
            "\"model.layers.9.self_attn.q_proj\"",
            "base_model.model.model.norm.weight: is a whole weight, but modules_to_save does not name",
            "base_model.model.something: is no tensor of a LoRA adapter",
            "model.layers.0.self_attn.q_proj.lora_A.weight: does not begin with \"base_model.model.\"",
            Q0 + ".lora_B.weight: missing, expected [8, 8]",
            Q0 + ".lora_A.weight: found [4, 8], expected [8, 8]",
        ];
        IReadOnlyList<string> problems = layout.Problems(file);
        Assert.Equal(expected.Length, problems.Count);
        Assert.All(expected.Zip(problems),
            pair => Assert.StartsWith(pair.First, pair.Second, StringComparison.Ordinal));
    }

    [Fact]
    public void Many_differences_of_a_kind_are_counted()
    {
        IReadOnlyList<ModuleInfo> modules = ModelListing.Decoder(30);
        LoraConfig config = new() { TargetModules = ModuleSelection.Create("q_proj") };
        AdapterLayout layout =
            AdapterLayout.Create(
                config, TargetMatcher.Match(config, modules, null, AdapterUse.Create).Targets, modules);
        IReadOnlyList<string> problems = layout.Problems([]);
        string problem = Assert.Single(problems);
        Assert.StartsWith(
            "60 missing tensors, the first of them: " +
            "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight: missing", problem,
            StringComparison.Ordinal);
        Assert.Equal(3, problem.Split("lora_").Length - 1);
    }

    [Fact]
    public void Base_weights_of_named_embeddings_may_be_there()
    {
        LoraConfig config = new() { Rank = 3, TargetModules = ModuleSelection.Create("embed_tokens", "q_proj") };
        AdapterLayout layout = Layout(config);
        AdapterTensor weight =
            Assert.Single(layout.Tensors, tensor => tensor is { IsRequired: false, Part: not AdapterTensorPart.Table });
        Assert.Equal("base_model.model.model.embed_tokens.base_layer.weight", weight.Key);
        Assert.Equal([32, 8], weight.Shape);
        Assert.Equal([3, 32], layout.Tensors.Single(tensor => tensor.Part == AdapterTensorPart.EmbeddingA).Shape);
        Assert.Equal([8, 3], layout.Tensors.Single(tensor => tensor.Part == AdapterTensorPart.EmbeddingB).Shape);
        Assert.Empty(
            layout.Problems(layout.Tensors.Where(t => t.IsRequired).Select(t => KeyValuePair.Create(t.Key, t.Shape))));
    }

    private static string[] Keys(LoraConfig config) =>
        [.. Layout(config).Tensors.Where(tensor => tensor.Part != AdapterTensorPart.Table)
        .Select(tensor => tensor.Key)];

    private static AdapterLayout Layout(LoraConfig config)
    {
        config = config with { TargetModules = config.TargetModules ?? ModuleSelection.Create("q_proj") };
        IReadOnlyList<ModuleInfo> modules = ModelListing.Decoder();
        return AdapterLayout.Create(
            config, TargetMatcher.Match(config, modules, null, AdapterUse.Create).Targets, modules);
    }
}
