using System.Text;
using LowRank.Adapters;

namespace LowRank.ParityTests.Adapters;

/// <summary>Every adapter_config.json that PEFT wrote for the goldens, read and written again.</summary>
public sealed class LoraConfigFileTests
{
    private static readonly string Root = Path.Combine(AppContext.BaseDirectory, "Fixtures", "goldens");

    public static TheoryData<string> LoraFiles => [.. Files(isLora: true)];

    public static TheoryData<string> OtherFiles => [.. Files(isLora: false)];

    [Fact]
    public void The_goldens_are_all_here()
    {
        Assert.Equal(205, LoraFiles.Count);
        Assert.Equal(22, OtherFiles.Count);
    }

    [Theory]
    [MemberData(nameof(LoraFiles))]
    public void A_file_of_PEFT_is_written_again_byte_for_byte(string file)
    {
        byte[] expected = File.ReadAllBytes(Path.Combine(Root, file));
        AdapterConfig config = AdapterConfig.Load(Path.Combine(Root, file));
        Assert.Equal(expected, Encoding.UTF8.GetBytes(config.ToJson()));
        Assert.Empty(config.UnknownKeys);
    }

    [Theory]
    [MemberData(nameof(OtherFiles))]
    public void A_file_of_another_kind_is_written_again_byte_for_byte(string file)
    {
        byte[] expected = File.ReadAllBytes(Path.Combine(Root, file));
        AdapterConfig config = AdapterConfig.Load(Path.Combine(Root, file));
        Assert.NotEqual("LORA", config.PeftType);
        Assert.Equal(expected, Encoding.UTF8.GetBytes(config.ToJson()));
        Assert.Empty(config.UnknownKeys);
        Assert.Empty(config.UnsupportedRequests(AdapterUse.Load));
    }

    [Theory]
    [InlineData("llama/lora", 4, 8, "CAUSAL_LM", "llama")]
    [InlineData("variants/combined_cat/mix", 8, 8, "CAUSAL_LM", "qwen2")]
    [InlineData("variants/target_parameters_none_alpha1", 3, 1, "CAUSAL_LM", "qwen2")]
    public void The_values_are_those_of_the_file(string folder, int rank, int alpha, string task, string model)
    {
        var config = (LoraConfig)AdapterConfig.Load(Path.Combine(Root, folder));
        Assert.Equal((rank, (ConfigNumber)alpha, 0.0), (config.Rank, config.Alpha, config.Dropout));
        Assert.Equal((task, model, "0.20.1"), (config.TaskType, config.BaseModel, config.PeftVersion));
        Assert.Empty(config.UnsupportedRequests(AdapterUse.Load));
    }

    [Fact]
    public void The_variants_carry_their_settings()
    {
        Assert.True(Lora("rslora").UseRsLora);
        Assert.Equal(BiasTraining.All, Lora("bias_all").Bias);
        Assert.Equal(BiasTraining.Adapted, Lora("bias_lora_only").Bias);
        Assert.Equal(".*layers\\.0\\..*(q|k)_proj", Variant("regex").TargetModules!.Text);
        Assert.Equal(["model.layers.0.self_attn.q_proj"], Variant("exclude").ExcludeModules!.Names!);
        Assert.Equal([1], Variant("layers_to_transform").LayersToTransform!.Layers);
        Assert.Equal("layers", Variant("layers_to_transform").LayersPattern!.Text);
        Assert.Equal(2, Lora("patterns").RankPattern["down_proj"]);
        Assert.Equal(32, Lora("patterns").AlphaPattern["v_proj"].Value);
        Assert.True(AdapterConfig.Load(Path.Combine(Root, "gpt2", "lora")).FanInFanOut);
    }

    [Theory]
    [InlineData("dora")]
    [InlineData("trainable_tokens")]
    [InlineData("pissa")]
    [InlineData("olora")]
    [InlineData("orthogonal")]
    public void Every_variant_can_be_used_and_made(string variant)
    {
        Assert.Empty(Variant(variant).UnsupportedRequests(AdapterUse.Load));
        Assert.Empty(Variant(variant).UnsupportedRequests(AdapterUse.Create));
    }

    private static LoraConfig Lora(string name) => (LoraConfig)Variant(name);

    private static AdapterConfig Variant(string name) => AdapterConfig.Load(Path.Combine(Root, "variants", name));

    private static IEnumerable<string> Files(bool isLora) => Directory
        .EnumerateFiles(Root, AdapterConfig.FileName, SearchOption.AllDirectories)
        .Where(file => File.ReadAllText(file).Contains("\"peft_type\": \"LORA\"", StringComparison.Ordinal) == isLora)
        .Select(file => Path.GetRelativePath(Root, file))
        .Order(StringComparer.Ordinal);
}
