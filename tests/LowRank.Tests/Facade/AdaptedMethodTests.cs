using LowRank.Adapters;

namespace LowRank.Tests.Facade;

/// <summary>Every config record is adapted with as it says, and what it cannot say here is refused by
/// name.</summary>
public sealed class AdaptedMethodTests : IDisposable
{
    private static readonly LoraConfig Lora = LoadedModel.Lora;

    // What is asked for, and a value of the saved config that shows it.
    private static readonly Dictionary<string, (AdapterConfig Asked, Func<AdapterConfig, object?> Shown)> Records =
        new()
    {
        ["LoRA"] = (Lora with
        {
            TargetModules = ["q_proj", "v_proj"], Dropout = 0.1, UseRsLora = true, Rank = 3,
            LayersToTransform = LayerSelection.One(0),
            RankPattern = new Dictionary<string, int> { ["q_proj"] = 2 },
        }, c => (c is LoraConfig o, ((LoraConfig)c).Rank, ((LoraConfig)c).UseRsLora, ((LoraConfig)c).Dropout,
            ((LoraConfig)c).RankPattern.Count, c.LayersToTransform!.Single())),
        ["DoRA"] = (Lora with { UseDora = true }, c => ((LoraConfig)c).UseDora),
        ["gaussian"] = (Start("gaussian"), c => ((LoraConfig)c).Rank),
        ["orthogonal"] = (Start("orthogonal"), c => ((LoraConfig)c).Rank),
        ["EVA"] = (Start("eva") with { EvaConfig = new EvaConfig { Rho = 1, Whiten = true } },
            c => ((LoraConfig)c).EvaConfig),
        ["AdaLoRA"] = (new AdaLoraConfig
        {
            TargetRank = 2, InitialRank = 3, FinalSteps = 1, Interval = 2, Beta1 = 0.5, OrthogonalWeight = 0.25,
            TargetModules = ["q_proj"],
        }, c => (((AdaLoraConfig)c).LastRank, ((AdaLoraConfig)c).FirstRank, ((AdaLoraConfig)c).FinalSteps,
            ((AdaLoraConfig)c).Interval, ((AdaLoraConfig)c).Beta1, ((AdaLoraConfig)c).OrthogonalWeight)),
        ["AdaLoRA by its target"] = (new AdaLoraConfig { TargetRank = 2 },
            c => (((AdaLoraConfig)c).LastRank, ((AdaLoraConfig)c).FirstRank)),
        ["LoHa"] = (new LoHaConfig { Rank = 2, Alpha = 3, RankDropout = 0.1, ModuleDropout = 0.2 },
            c => (((LoHaConfig)c).Rank, ((LoHaConfig)c).Alpha.Value, ((LoHaConfig)c).RankDropout,
                ((LoHaConfig)c).ModuleDropout)),
        ["LoKr"] = (new LoKrConfig
        {
            Rank = 2, DecomposeBoth = true, DecomposeFactor = 4, RankDropout = 0.1, RankDropoutScale = true,
        }, c => (((LoKrConfig)c).Rank, ((LoKrConfig)c).DecomposeBoth, ((LoKrConfig)c).DecomposeFactor,
            ((LoKrConfig)c).RankDropout, ((LoKrConfig)c).RankDropoutScale)),
        ["VeRA"] = (new VeraConfig { Rank = 8, DInitial = 0.2, ProjectionPrngKey = 7, SaveProjection = false },
            c => (((VeraConfig)c).Rank, ((VeraConfig)c).DInitial, ((VeraConfig)c).ProjectionPrngKey,
                ((VeraConfig)c).SaveProjection)),
        ["IA3"] = (new Ia3Config { TargetModules = ["k_proj", "down_proj"], FeedforwardModules = ["down_proj"] },
            c => (c.TargetModules!.Order().First(), ((Ia3Config)c).FeedforwardModules!.Single())),
        ["prompt tuning"] = (new PromptTuningConfig
        {
            NumVirtualTokens = 3, PromptTuningInit = "TEXT", PromptTuningInitText = "a b c",
        }, c => (((PromptTuningConfig)c).NumVirtualTokens, ((PromptTuningConfig)c).PromptTuningInitText)),
        ["prefix tuning"] = (new PrefixTuningConfig { NumVirtualTokens = 3 },
            c => ((PrefixTuningConfig)c).NumVirtualTokens),
    };

    private readonly LoadedModel tiny = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public static IEnumerable<TheoryDataRow<string>> Names =>
        Records.Keys.Select(name => new TheoryDataRow<string>(name));

    public void Dispose() => tiny.Dispose();

    [Theory]
    [MemberData(nameof(Names))]
    public async Task Each_record_adapts_as_it_says(string name)
    {
        (AdapterConfig asked, Func<AdapterConfig, object?> shown) = Records[name];
        await using LanguageModel model = await tiny.Open();
        AdaptationResult result = await Adapt(model, asked, new TrainingOptions());
        Assert.Equal(2, result.Steps);
        AdapterConfig saved = result.Adapter.Config; // as the files of the run say
        Assert.Equal(asked.GetType(), saved.GetType());
        Assert.Equal(shown(asked), shown(saved));
    }

    // What an adapter's config says of its base and its training is no request.
    [Theory]
    [MemberData(nameof(Names))]
    public async Task The_config_of_an_adapter_is_one_to_adapt_with_again(string name)
    {
        await using LanguageModel model = await tiny.Open();
        AdaptationResult first = await Adapt(model, Records[name].Asked, new TrainingOptions());
        await first.Adapter.SaveAsync(tiny["saved"], Token);
        foreach (AdapterConfig config in new[] { first.Adapter.Config, AdapterConfig.Load(tiny["saved"]) })
        {
            Assert.NotNull(config.BaseModel);
            AdaptationResult again = await Adapt(model, config, new TrainingOptions());
            Assert.Equal(Records[name].Shown(first.Adapter.Config), Records[name].Shown(again.Adapter.Config));
        }
    }

    // These starts save what they took from the base, so that they are told by what they leave: another change each.
    [Fact]
    public async Task Each_start_trains_another_adapter()
    {
        await using LanguageModel model = await tiny.Open();
        LoraConfig[] starts =
        [
            Lora, Start("olora"), Start("PiSSA"), Start("pissa_niter_4"), Start("lora_ga"),
            Start("lora_ga") with { LoraGaConfig = new LoraGaConfig { Scale = "unit" } }, Start("corda"),
            Start("corda") with { CordaConfig = new CordaConfig { Mode = "kpm" } },
        ];
        var losses = new HashSet<double?>();
        foreach (LoraConfig start in starts) losses.Add((await Adapt(model, start, new TrainingOptions())).Loss);
        Assert.Equal(starts.Length, losses.Count);
    }

    [Fact]
    public async Task A_method_without_a_record_is_an_option_of_the_training()
    {
        await using LanguageModel model = await tiny.Open();
        var losses = new HashSet<double?>();
        IAdapterMethod?[] methods =
        [
            null, new LoraPlusMethod(), new LoraPlusMethod { Ratio = 2 }, new LoraFaMethod(),
            new LoraFaMethod { Projected = false }, new RsLoraMethod(), new EvaMethod { Examples = 2 },
            new EvaMethod { Examples = 2, Config = new EvaConfig { Whiten = true } }, new VeraMethod(),
        ];
        foreach (IAdapterMethod? method in methods)
        {
            AdaptationResult result = await Adapt(
                model, method is VeraMethod ? null : Lora, new TrainingOptions { Method = method, Steps = 3 });
            losses.Add(result.Loss);
            if (method is VeraMethod) Assert.Equal(256, ((VeraConfig)result.Adapter.Config).Rank);
        }
        Assert.Equal(methods.Length, losses.Count);
    }

    [Fact]
    public async Task What_has_no_effect_is_refused_by_its_name()
    {
        await using LanguageModel model = await tiny.Open();
        async Task Refused(AdapterConfig? asked, string expected, TrainingOptions? training = null)
        {
            InputException refused = await Assert.ThrowsAsync<InputException>(
                () => Adapt(model, asked, training ?? new TrainingOptions()));
            Assert.Contains(expected, refused.Message, StringComparison.Ordinal);
            Assert.DoesNotContain("adapter.", refused.Message, StringComparison.Ordinal);
        }
        await Refused(new VeraConfig { Rank = 0 }, "VeraConfig.Rank is 0");
        await Refused(new VeraConfig { ExcludeModules = ["q_proj"] }, "VeraConfig.ExcludeModules has no effect");
        await Refused(new VeraConfig { InitWeights = false, Rank = 0 }, "VeraConfig.InitWeights is false");
        await Refused(new AdaLoraConfig { UseRsLora = true }, "AdaLoraConfig.UseRsLora has no effect");
        await Refused(new AdaLoraConfig { Interval = 0 }, "AdaLoraConfig.Interval is 0");
        await Refused(new AdaLoraConfig { TotalSteps = 9 }, "AdaLoraConfig.TotalSteps is 9");
        await Refused(
            new AdaLoraConfig { Rank = 3, InitialRank = 6, TargetRank = 2 }, "AdaLoraConfig.TargetRank is 2");
        await Refused(new LoHaConfig { RankDropout = 2 }, "LoHaConfig.RankDropout is 2");
        await Refused(new LoKrConfig { InitWeights = InitialWeights.Parse("lycoris") }, "LoKrConfig.InitWeights");
        await Refused(new LoKrConfig { RankDropoutScale = true }, "LoKrConfig.RankDropoutScale has no effect");
        await Refused(new Ia3Config { LayersToTransform = [0] }, "Ia3Config.LayersToTransform has no effect");
        await Refused(
            new Ia3Config { FeedforwardModules = ModuleSelection.Pattern(".*") }, "Ia3Config.FeedforwardModules");
        await Refused(new PromptTuningConfig { PromptTuningInitText = "a" }, "PromptTuningConfig.PromptTuningInitText");
        await Refused(new PromptTuningConfig { NumVirtualTokens = null }, "PromptTuningConfig.NumVirtualTokens");
        await Refused(new PrefixTuningConfig { NumLayers = 3 }, "PrefixTuningConfig.NumLayers is 3");
        await Refused(new PrefixTuningConfig { TargetModules = ["x"] }, "PrefixTuningConfig.TargetModules");
        await Refused(Lora with { EvaConfig = new EvaConfig() }, "LoraConfig.EvaConfig");
        await Refused(Lora with { UseDora = true, LoraBias = true }, "LoraConfig.LoraBias has no effect");
        await Refused(Start("eva") with { EvaConfig = new EvaConfig { Rho = 0.5 } }, "EvaConfig.Rho is 0.5");
        await Refused(Start("zebra"), "LoraConfig.InitLoraWeights is \"zebra\"");
        await Refused(Lora with { FanInFanOut = true }, "LoraConfig.FanInFanOut is true");
        await Refused(Lora with { BaseModel = "x", TaskType = "y" }, "LoraConfig.TaskType is \"y\"");
        await Refused(
            Lora with { TrainableTokenIndices = [new("embed_tokens", [1])] }, "LoraConfig.TrainableTokenIndices");
        await Refused(new AloneConfig(), "No adapter method is known to make a AloneConfig");
        await Refused(new VeraConfig(), "TrainingOptions.Method is lora_plus", new() { Method = new LoraPlusMethod() });
        await Refused(Lora with { UseDora = true }, "LoraConfig.UseDora", new() { Method = new LoraPlusMethod() });
        await Refused(null, "TrainingOptions.Method.Ratio is 0", new() { Method = new LoraPlusMethod { Ratio = 0 } });
        await Refused(null, "BitFit trains biases", new() { Method = new BitFitMethod() });
        await Refused(Lora, "Give no LoraConfig beside it", new() { StartFrom = "somewhere" });
    }

    [Fact]
    public async Task What_mends_an_adapter_to_begin_from_is_an_option()
    {
        using var folder = new LoadedModel();
        await using LanguageModel model = await folder.Open(LoadedModel.Options with { BaseDtype = "float32" });
        string begun = folder["begun"];
        await Adapt(model, Lora, new TrainingOptions { OutputFolder = begun });
        begun = Path.Combine(begun, "adapter");
        new AdapterBase("nf4").Save(begun);
        InputException refused = await Assert.ThrowsAsync<InputException>(
            () => Adapt(model, null, new TrainingOptions { StartFrom = begun }));
        Assert.EndsWith("Open it in nf4. Use LanguageModelOptions.BaseDtype = nf4.", refused.Message,
            StringComparison.Ordinal);
    }

    private static LoraConfig Start(string name) => Lora with { InitLoraWeights = InitialWeights.Parse(name) };

    private static Task<AdaptationResult> Adapt(LanguageModel model, AdapterConfig? asked, TrainingOptions training) =>
        model.AdaptAsync(LoadedModel.Data("yes"), asked,
            training with { Steps = training.Steps ?? 2, BatchSize = 2, LearningRate = 0.01 }, null, Token);

    // A record of another program, without a method.
    private sealed record AloneConfig : AdapterConfig
    {
        public override IAdapterType Type => new LoraConfig().Type;
    }
}
