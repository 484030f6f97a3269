using LowRank.Adapters;
using LowRank.Recipes;

namespace LowRank.Tests.Adapters;

/// <summary>Each setting has one default of ours, whichever door it is set by, and one meaning where a file of PEFT's
/// leaves it out; the two need not be equal.</summary>
public sealed class ConfigDefaultTests
{
    public static TheoryData<string> Methods => [.. AdapterMethods.Names];

    [Fact]
    public void The_defaults_of_ours()
    {
        var lora = new LoraConfig();
        Assert.Equal((8, (ConfigNumber)16, 0.0), (lora.Rank, lora.Alpha, lora.Dropout));
        Assert.Equal((false, false, false, false, false),
            (lora.UseRsLora, lora.UseDora, lora.LoraBias, lora.EnsureWeightTying, lora.FanInFanOut));
        Assert.Equal((BiasTraining.None, InitialWeights.True), (lora.Bias, lora.InitLoraWeights));
        var adaLora = new AdaLoraConfig();
        Assert.Equal((8, (ConfigNumber)16, 12, 8), (adaLora.Rank, adaLora.Alpha, adaLora.FirstRank, adaLora.LastRank));
        Assert.Equal((0, 0, 1, 0.85, 0.85, 0.5), (adaLora.StartSteps, adaLora.FinalSteps, adaLora.Interval,
            adaLora.Beta1, adaLora.Beta2, adaLora.OrthogonalWeight));
        var loHa = new LoHaConfig();
        Assert.Equal((8, (ConfigNumber)16, 0.0, 0.0, true),
            (loHa.Rank, loHa.Alpha, loHa.RankDropout, loHa.ModuleDropout, loHa.InitWeights));
        var loKr = new LoKrConfig();
        Assert.Equal((8, (ConfigNumber)16, -1, false, false),
            (loKr.Rank, loKr.Alpha, loKr.DecomposeFactor, loKr.DecomposeBoth, loKr.RankDropoutScale));
        var vera = new VeraConfig();
        Assert.Equal((256, 0.0, 0.1, 0, true),
            (vera.Rank, vera.Dropout, vera.DInitial, vera.ProjectionPrngKey, vera.SaveProjection));
        Assert.Null(new Ia3Config().FeedforwardModules);
        Assert.Equal((20, "SAMPLE_VOCAB"),
            (new PromptTuningConfig().NumVirtualTokens, new PromptTuningConfig().PromptTuningInit));
        Assert.Equal(20, new PrefixTuningConfig().NumVirtualTokens);
        Assert.Equal(new EvaConfig { Rho = 2, UseLabelMask = true, AdjustScalingFactors = true }, new EvaConfig());
        Assert.Equal(new LoraGaConfig { Direction = "ArB2r", Scale = "stable", StableGamma = 16 }, new LoraGaConfig());
        Assert.Equal("ipm", new CordaConfig().Mode);
    }

    [Theory, MemberData(nameof(Methods))]
    public void A_recipe_and_a_program_begin_with_the_same(string name)
    {
        IAdapterMethod method = AdapterMethods.Get(name);
        AdapterSection section = Recipe.Parse(
            $"model: m\noutput: o\ndata: {{train: t}}\nadapter: {{method: {name}}}", "/").Adapter;
        AdapterConfig byRecipe = RecipeOptions.Config(section),
            byProgram = method.Configure(new LoraConfig { Rank = method.DefaultRank });
        Assert.Equal(byProgram.ToJson(), byRecipe.ToJson());
        // of the record alone, where the method is a record's
        AdapterConfig record = byProgram.Type.Create();
        if (record is LowRankConfig pairs and not LoraConfig)
            Assert.Equal((pairs.Rank, pairs.Alpha.Value), (method.DefaultRank, method.DefaultAlpha));
        if (record is not LoraConfig) Assert.Equal(record.ToJson(), byProgram.ToJson());
    }

    [Fact]
    public void The_options_of_a_method_have_the_defaults_of_its_record()
    {
        Assert.Equal(new VeraConfig().DInitial, AdapterMethods.Get("vera").Option("d_initial").Default);
        foreach (IAdapterMethod method in AdapterMethods.All)
            foreach (MethodOption option in method.Options) Assert.Equal(option.Default, option.Get(method));
    }

    // Of keys without a property too; our own defaults are among those above.
    [Theory]
    [InlineData("LORA", "r", "8"), InlineData("LORA", "lora_alpha", "8"), InlineData("LORA", "lora_dropout", "0.0")]
    [InlineData("LORA", "init_lora_weights", "true"), InlineData("LORA", "eva_config", "null")]
    [InlineData("LORA", "megatron_core", "\"megatron.core\""), InlineData("LORA", "qalora_group_size", "16")]
    [InlineData("ADALORA", "init_r", "12"), InlineData("ADALORA", "target_r", "8"), InlineData("ADALORA", "r", "8")]
    [InlineData("ADALORA", "beta1", "0.85"), InlineData("ADALORA", "lora_alpha", "8")]
    [InlineData("LOHA", "alpha", "8"), InlineData("LOKR", "alpha", "8"), InlineData("LOKR", "decompose_factor", "-1")]
    [InlineData("VERA", "r", "256"), InlineData("VERA", "d_initial", "0.1")]
    [InlineData("VERA", "save_projection", "true"), InlineData("IA3", "init_ia3_weights", "true")]
    public void What_a_missing_key_means_is_PEFTs(string type, string key, string expected) => Assert.Equal(
        expected, AdapterConfig.Parse($$"""{"peft_type": "{{type}}"}""").Values()[key].GetRawText());

    [Fact]
    public void A_missing_start_of_a_prompt_is_random_to_PEFT() => Assert.Equal(
        "RANDOM", ((PromptTuningConfig)AdapterConfig.Parse(
            """{"peft_type": "PROMPT_TUNING", "num_virtual_tokens": 4}""")).PromptTuningInit);

    [Fact]
    public void Lists_of_names_and_layers_are_written_as_lists()
    {
        var config =
            new LoraConfig { Rank = 16, Alpha = 32, TargetModules = ["q_proj", "v_proj"], LayersToTransform = [1] };
        Assert.Equal(["q_proj", "v_proj"], config.TargetModules!.Names);
        Assert.Equal([1], config.LayersToTransform!.Layers);
        Assert.Equal(
            config.ToJson(), AdapterConfig.Parse(config.ToJson()).ToJson());
        Assert.IsType<VeraConfig>(AdapterConfig.Parse(new VeraConfig { Rank = 4 }.ToJson()));
    }

    [Fact]
    public void A_file_keeps_the_text_of_numbers_and_objects_that_stay()
    {
        var config = (LoraConfig)AdapterConfig.Parse(
            """
            {"peft_type": "LORA", "lora_dropout": 0, "init_lora_weights": "eva", "eva_config": {"rho": 3, "own": 1}}
            """);
        Assert.Equal((0.0, 3.0), (config.Dropout, config.EvaConfig!.Rho));
        string kept = (config with { Rank = 4 }).ToJson();
        Assert.Contains("\"lora_dropout\": 0,", kept, StringComparison.Ordinal);
        Assert.Contains("\"eva_config\": {\n    \"own\": 1,\n    \"rho\": 3\n  }", kept, StringComparison.Ordinal);
        string changed = (config with { Dropout = 0.5, EvaConfig = new EvaConfig { Rho = 4 } }).ToJson();
        Assert.Contains("\"lora_dropout\": 0.5,", changed, StringComparison.Ordinal);
        Assert.Contains("\"rho\": 4.0,", changed, StringComparison.Ordinal);
    }
}
