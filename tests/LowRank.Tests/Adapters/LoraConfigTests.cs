using System.Text.Json;
using CsCheck;
using LowRank.Adapters;

namespace LowRank.Tests.Adapters;

public sealed class LoraConfigTests
{
    [Fact]
    public void What_is_missing_means_what_it_means_to_PEFT()
    {
        LoraConfig config = Parse("""{"peft_type": "LORA"}""");
        Assert.Equal((8, (ConfigNumber)8, 0.0), (config.Rank, config.Alpha, config.Dropout));
        Assert.Equal((BiasTraining.None, false, false),
            (config.Bias, config.UseRsLora, config.FanInFanOut));
        Assert.Same(InitialWeights.True, config.InitLoraWeights);
        Assert.Null(config.TargetModules);
        Assert.Null(config.ExcludeModules);
        Assert.Null(config.LayersToTransform);
        Assert.Null(config.LayersPattern);
        Assert.Null(config.ModulesToSave);
        Assert.Empty(config.RankPattern);
        Assert.Empty(config.AlphaPattern);
        Assert.Equal((null, null, null), (config.BaseModel, config.Revision, config.TaskType));
        Assert.Equal("0.20.1", config.PeftVersion);
        Assert.Empty(config.OtherKeys);
        Assert.Empty(config.UnsupportedRequests(AdapterUse.Create));
    }

    [Theory, InlineData("LORA", "lora_alpha"), InlineData("ADALORA", "lora_alpha"), InlineData("LOHA", "alpha"),
        InlineData("LOKR", "alpha")]
    public void An_alpha_that_is_too_large_is_named_by_the_key_of_the_file(string type, string key) =>
        Assert.Contains($"line 1: {key}: found 1e+300", Assert.Throws<InputException>(() =>
            AdapterConfig.Parse($$"""{"peft_type": "{{type}}", "{{key}}": 1e300}""")).Message,
            StringComparison.Ordinal);

    [Fact]
    public void Missing_keys_take_the_defaults_and_are_written()
    {
        LoraConfig old =
            Parse("""{"peft_type": "LORA", "r": 16, "lora_alpha": 32.0, "inference_mode": false}""");
        Assert.Equal(new LoraConfig { Rank = 16, Alpha = 32.0 }.ToJson(), old.ToJson());
        Assert.Contains("\"lora_alpha\": 32.0,", old.ToJson(), StringComparison.Ordinal);
        Assert.Contains("\"inference_mode\": true,", old.ToJson(), StringComparison.Ordinal);
    }

    [Fact]
    public void Unknown_keys_are_kept_in_their_place_and_named()
    {
        LoraConfig config =
            Parse("""{"zebra": {"b": 1e-5, "a": "é"}, "peft_type": "LORA", "lora_b_lr": 2}""");
        Assert.Equal(["lora_b_lr", "zebra"], config.UnknownKeys);
        Assert.Equal(2, config.Warnings.Count);
        Assert.Contains("\"lora_b_lr\"", config.Warnings[0], StringComparison.Ordinal);
        string json = config.ToJson();
        Assert.EndsWith(
            "\"zebra\": {\n    \"a\": \"\\u00e9\",\n    \"b\": 1e-05\n  }\n}", json, StringComparison.Ordinal);
        Assert.Equal(json, AdapterConfig.Parse(json).ToJson());
    }

    [Fact]
    public void All_wrong_kinds_are_reported_at_once_with_line_and_key()
    {
        const string json = """
            {
              "peft_type": "LORA",
              "r": "8",
              "lora_alpha": true,
              "target_modules": ["q_proj", 3],
              "layers_to_transform": 1.5,
              "rank_pattern": {"q": 2.0},
              "use_dora": "yes",
              "eva_config": []
            }
            """;
        InputException failure = Assert.Throws<InputException>(() => AdapterConfig.Parse(json, "here.json"));
        Assert.Equal(
            [
                "line 3: r: found \"8\", expected a whole number",
                "line 4: lora_alpha: found true, expected a number",
                "line 5: target_modules: found [\"q_proj\", 3], expected a text, a list of texts or null",
                "line 6: layers_to_transform: found 1.5, expected a whole number, a list of whole numbers or null",
                "line 7: rank_pattern: found {\"q\": 2.0}, expected an object of whole numbers or null",
                "line 8: use_dora: found \"yes\", expected true or false",
                "line 9: eva_config: found [], expected an object or null",
            ],
            failure.Problems);
        Assert.StartsWith("here.json", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void All_values_out_of_range_are_reported_at_once()
    {
        const string json = """
            {"peft_type": "LORA", "r": 0, "lora_dropout": 1.5, "bias": "some", "task_type": "CHAT",
             "rank_pattern": {"a": -1}, "target_modules": "all-linear", "layers_to_transform": [-2], "layers_pattern": "h"}
            """;
        InputException failure = Assert.Throws<InputException>(() => AdapterConfig.Parse(json));
        string[] keys = [.. failure.Problems.Select(problem => problem.Split(':')[1].Trim())];
        Assert.Equal(
            ["bias", "r", "lora_dropout", "rank_pattern[\"a\"]", "task_type", "layers_to_transform",
            "layers_to_transform", "layers_pattern"], keys);
        Assert.StartsWith("line 2: rank_pattern", failure.Problems[3], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"peft_type": "OFT"}""", "line 1: peft_type: found \"OFT\", expected one of \"ADALORA\"")]
    [InlineData("""{"peft_type": "VERA", "r": 0}""", "r: found 0, expected at least 1")]
    [InlineData("""{"peft_type": "ADALORA", "init_r": 2, "target_r": 4}""",
        "target_r: found 4, expected 1 to init_r, 2")]
    [InlineData("""{"peft_type": "LOKR", "decompose_factor": 0}""", "decompose_factor: found 0")]
    [InlineData("""{"peft_type": "IA3", "target_modules": ["a"], "feedforward_modules": ["b"]}""",
        "feedforward_modules: \"b\" is not among target_modules")]
    [InlineData("""{"r": 8}""", "peft_type: missing")]
    [InlineData("""{"peft_type": "LORA", "r": 1, "r": 2}""", "r: stands here again after line 1")]
    [InlineData("""{"peft_type": "LORA", "rank_pattern": {"a": 1, "a": 2}}""", "the key \"a\" stands in it twice")]
    [InlineData("[1]", "found StartArray, expected a JSON object")]
    [InlineData("{\n\"peft_type\": \"LORA\",\n}", "line 3: not JSON")]
    [InlineData("""{"peft_type": "LORA"} x""", "not JSON")]
    [InlineData("", "not JSON")]
    [InlineData("""{"peft_type": "LORA", "revision": "\ud800"}""", "not JSON")]
    [InlineData("""{"peft_type": "LORA", "lora_alpha": 1e999}""",
        ", line 1, lora_alpha: not JSON: The number 1e999 is beyond the range")]
    [InlineData("""{"peft_type": "LORA", "layers_pattern": "h"}""",
        "layers_pattern: found \"h\" without layers_to_transform")]
    public void Files_that_are_none_are_refused(string json, string expected) =>
        Assert.Contains(
            expected, Assert.Throws<InputException>(() => AdapterConfig.Parse(json)).Message, StringComparison.Ordinal);

    [Fact]
    public void A_missing_file_is_named()
    {
        string folder = Path.Combine(Path.GetTempPath(), "no-such-adapter");
        Assert.Contains(
            folder, Assert.Throws<InputException>(() => AdapterConfig.Load(folder)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("use_qalora", "true")]
    [InlineData("layer_replication", "[[0, 2]]")]
    [InlineData("megatron_config", "{}")]
    [InlineData("target_parameters", "[\"experts.w\"]")]
    [InlineData("alora_invocation_tokens", "[1]")]
    [InlineData("arrow_config", "{}")]
    [InlineData("kasa_config", "{}")]
    [InlineData("monteclora_config", "{}")]
    [InlineData("use_bdlora", "{}")]
    public void What_cannot_be_done_is_kept_and_named_for_every_use(string key, string value)
    {
        AdapterConfig config = AdapterConfig.Parse($$"""{"peft_type": "LORA", "{{key}}": {{value}}}""");
        Assert.Empty(config.UnknownKeys);
        foreach (AdapterUse use in Enum.GetValues<AdapterUse>())
            Assert.StartsWith(
                $"{key}: found ", Assert.Single(config.UnsupportedRequests(use)), StringComparison.Ordinal);
        using JsonDocument written = JsonDocument.Parse(config.ToJson());
        Assert.True(JsonElement.DeepEquals(JsonElement.Parse(value), written.RootElement.GetProperty(key)));
    }

    [Theory]
    [InlineData("init_lora_weights", "\"mica\"")]
    [InlineData("init_lora_weights", "null")]
    [InlineData("eva_config", "{}")]
    [InlineData("corda_config", "{}")]
    [InlineData("lora_ga_config", "{}")]
    [InlineData("loftq_config", "{\"loftq_bits\": 4}")]
    [InlineData("velora_config", "{}")]
    public void How_an_adapter_began_matters_only_to_a_new_one(string key, string value)
    {
        AdapterConfig config = AdapterConfig.Parse($$"""{"peft_type": "LORA", "{{key}}": {{value}}}""");
        Assert.Single(config.UnsupportedRequests(AdapterUse.Create));
        Assert.Empty(config.UnsupportedRequests(AdapterUse.Load));
    }

    [Theory]
    [InlineData("pissa_niter_4")]
    [InlineData("corda")]
    [InlineData("lora_ga")]
    [InlineData("loftq")]
    public void What_was_taken_from_the_base_and_cannot_be_found_again_is_refused(string start)
    {
        AdapterConfig config = AdapterConfig.Parse($$"""{"peft_type": "LORA", "init_lora_weights": "{{start}}"}""");
        Assert.Contains(
            "path_initial_model_for_weight_conversion", Assert.Single(config.UnsupportedRequests(AdapterUse.Load)),
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("true", "true")]
    [InlineData("false", "false")]
    [InlineData("\"Gaussian\"", "gaussian")]
    [InlineData("\"pissa\"", "pissa")]
    [InlineData("\"pissa_niter_4\"", "pissa_niter_4")]
    [InlineData("\"olora\"", "olora")]
    [InlineData("\"orthogonal\"", "orthogonal")]
    [InlineData("\"eva\"", "eva")]
    [InlineData("\"corda\"", "corda")]
    [InlineData("\"lora_ga\"", "lora_ga")]
    public void The_supported_starts_have_names(string value, string name)
    {
        LoraConfig config = Parse($$"""{"peft_type": "LORA", "init_lora_weights": {{value}}}""");
        Assert.Equal(name, config.InitLoraWeights.Name);
        Assert.Empty(config.UnsupportedRequests(AdapterUse.Create));
        Assert.Contains($"\"init_lora_weights\": {value},", config.ToJson(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_property_among_the_other_keys_is_refused()
    {
        var config =
            new LoraConfig { OtherKeys = new Dictionary<string, JsonElement> { ["r"] = JsonElement.Parse("4") } };
        Assert.Contains("r: stands among the other keys", Assert.Throws<InputException>(config.ToJson).Message,
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(4, 8.0, false, 2.0)]
    [InlineData(4, 8.0, true, 4.0)]
    [InlineData(3, 1.0, false, 1.0 / 3)]
    public void The_scale_divides_by_the_rank_or_its_root(int rank, double alpha, bool stabilized, double expected) =>
        Assert.Equal(expected, new LoraConfig { UseRsLora = stabilized }.Scale(rank, alpha));

    [Fact]
    public void Any_config_survives_a_round_trip() => Configs.Sample(config =>
    {
        string json = config.ToJson();
        LoraConfig read = Parse(json);
        Assert.Equal(json, read.ToJson());
        Assert.Equal((config.Rank, config.Alpha, config.Dropout, config.Bias),
            (read.Rank, read.Alpha, read.Dropout, read.Bias));
        Assert.Equal(config.TargetModules?.Names, read.TargetModules?.Names);
        Assert.Equal(config.TargetModules?.Text, read.TargetModules?.Text);
        Assert.Equal(config.LayersToTransform?.ToString(), read.LayersToTransform?.ToString());
        Assert.Equal(config.RankPattern.OrderBy(p => p.Key), read.RankPattern.OrderBy(p => p.Key));
        Assert.Equal(config.AlphaPattern.OrderBy(p => p.Key), read.AlphaPattern.OrderBy(p => p.Key));
        Assert.Equal((config.BaseModel, config.InitLoraWeights), (read.BaseModel, read.InitLoraWeights));
    });

    private static LoraConfig Parse(string json) => (LoraConfig)AdapterConfig.Parse(json);

    private static Gen<LoraConfig> Configs
    {
        get
        {
            Gen<string> text = Gen.Char[(char)0, (char)0xD7FF].Array[0, 8].Select(letters => new string(letters));
            Gen<ConfigNumber> number =
                Gen.OneOf(Gen.Int.Select(ConfigNumber.FromInt32),
                Gen.Double[-1e6, 1e6].Select(ConfigNumber.FromDouble));
            Gen<ModuleSelection?> selection = Gen.OneOf(
                Gen.Const((ModuleSelection?)null), text.Array[0, 4]
                    .Select(names => (ModuleSelection?)ModuleSelection.Create(names)),
                    text.Select(t => (ModuleSelection?)ModuleSelection.Pattern(t)));
            return
                from rank in Gen.Int[1, 256]
                from alpha in number
                from dropout in Gen.Double[0, 1]
                from bias in Gen.Enum<BiasTraining>()
                from targets in selection
                from layers in Gen.Int[0, 99].Array[0, 3]
                from ranks in Gen.Dictionary(text, Gen.Int[1, 9])[0, 4]
                from alphas in Gen.Dictionary(text, number)[0, 4]
                from model in text
                from start in Gen.OneOf(
                    [.. new[] { InitialWeights.True, InitialWeights.False, InitialWeights.Gaussian,
                    InitialWeights.Null }.Select(Gen.Const)])
                select new LoraConfig
                {
                    Rank = rank,
                    Alpha = alpha,
                    Dropout = dropout,
                    Bias = bias,
                    TargetModules = targets,
                    LayersToTransform = targets?.Text is null && layers.Length != 1 ? LayerSelection.Create(layers)
                    : targets?.Text is null ? LayerSelection.One(layers[0]) : null,
                    RankPattern = ranks,
                    AlphaPattern = alphas,
                    BaseModel = model,
                    InitLoraWeights = start,
                };
        }
    }
}
