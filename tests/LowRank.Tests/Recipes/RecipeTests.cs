using LowRank.Adapters;
using LowRank.Recipes;

namespace LowRank.Tests.Recipes;

public sealed class RecipeTests
{
    private const string Least = "model: base\ndata:\n  train: train.jsonl\noutput: out\n";

    private static Recipe Parse(string text, params string[] overrides) =>
        Recipe.Parse(text, "/recipes", overrides, "r.yaml");

    [Fact]
    public void Every_default()
    {
        var expected = new Recipe
        {
            Model = "/recipes/base",
            Device = "cpu",
            Tf32 = false,
            Data = new DataSection { Train = ["/recipes/train.jsonl"], Validation = [], TrainOn = "completion" },
            Adapter = new AdapterSection
            {
                Method = new LoraMethod(),
                Config = new LoraConfig
                {
                    Rank = 8, Alpha = 16, Dropout = 0, TargetModules = null, ExcludeModules = null,
                    Bias = BiasTraining.None, UseRsLora = false, LayersToTransform = null, LayersPattern = null,
                    RankPattern = new OrderedDictionary<string, int>(),
                    AlphaPattern = new OrderedDictionary<string, ConfigNumber>(), InitLoraWeights = InitialWeights.True,
                },
            },
            Training = new TrainingSection
            {
                Epochs = 3, Steps = null, BatchSize = 8, GradientAccumulation = 1, Packing = true,
                    SharePrompts = "true", BatchTokens = null, LearningRate = 2e-4, Schedule = "linear",
                    WarmupSteps = 0,
                WarmupRatio = 0, WeightDecay = 0, Beta1 = 0.9, Beta2 = 0.999, Epsilon = 1e-8, MaxGradNorm = 1,
                    MaxLength = 512, Shuffle = true,
                Seed = 42, EvalEvery = null, EvalBatchSize = 16, InitAdapter = null, FromScratch = false,
                    SaveEvery = null, SavesByTime = true, Threads = null,
            },
            Comparison = null,
            Output = "/recipes/out",
        };
        Assert.Equivalent(expected, Parse(Least), strict: true);
        Assert.Equivalent(expected, Parse(Least + "adapter: {}\ntraining: {}\n"), strict: true);
        Assert.Equivalent(
            expected, Parse(Least + "adapter:\ntraining:\n  steps: null\n  learning_rate: ~\n"), strict: true);
        var comparison = new ComparisonSection { Data = ["/recipes/v"], Generations = 3, Facts = 0, MaxNewTokens = 64 };
        Assert.Equivalent(comparison, Parse(Least + "comparison: {}\n", "data.validation=v").Comparison, strict: true);
    }

    [Theory]
    [InlineData("lora", 2e-4)]
    [InlineData("full", 2e-5)]
    public void The_learning_rate_follows_the_method(string method, double expected) =>
        Assert.Equal(expected, Parse(Least + $"adapter:\n  method: {method}\n").Training.LearningRate);

    [Fact]
    public void Random_weights_take_a_higher_rate() =>
        Assert.Equal(5e-4, Parse(Least, "adapter.method=full", "training.from_scratch=true").EffectiveLearningRate);

    [Fact]
    public void Every_key_is_read()
    {
        Recipe recipe = Parse("""
            model: /models/base
            device: cuda:1
            tf32: true
            data: { train: [a.jsonl, b/c.jsonl], validation: v.jsonl, train_on: all }
            adapter:
              rank: 4
              alpha: 32.5
              dropout: 0.1
              target_modules: [q_proj, "v_proj"]
              exclude_modules: .*\.0\..*
              bias: lora_only
              use_rslora: true
              layers_to_transform: [1, 3]
              layers_pattern: layers
              rank_pattern: { q_proj: 2, "layers.0": 16 }
              alpha_pattern: { v_proj: 0.5 }
              init_lora_weights: gaussian
            training:
              steps: 1e3
              batch_size: 2
              gradient_accumulation: 4
              packing: true
              share_prompts: grouped
              batch_tokens: 2048
              learning_rate: 1E-4
              schedule: cosine
              warmup_ratio: .1
              weight_decay: 0.01
              beta1: 0.8
              beta2: 0.95
              epsilon: 1e-6
              max_grad_norm: 0
              max_length: 128
              shuffle: false
              seed: 9223372036854775807
              eval_every: 0
              eval_batch_size: 3
              save_every: 50
              threads: 2
            comparison: { data: w.jsonl, generations: 1, facts: 40, max_new_tokens: 7 }
            output: ../out
            """);
        var expected = new Recipe
        {
            Model = "/models/base",
            Device = "cuda:1",
            Tf32 = true,
            Data = new DataSection { Train = ["/recipes/a.jsonl", "/recipes/b/c.jsonl"],
            Validation = ["/recipes/v.jsonl"], TrainOn = "all" },
            Adapter = new AdapterSection
            {
                Config = new LoraConfig
                {
                    Rank = 4, Alpha = 32.5, Dropout = 0.1, TargetModules = ["q_proj", "v_proj"],
                    ExcludeModules = ModuleSelection.Pattern(@".*\.0\..*"), Bias = BiasTraining.Adapted,
                    UseRsLora = true, LayersToTransform = [1, 3], LayersPattern = ModuleSelection.Pattern("layers"),
                    InitLoraWeights = InitialWeights.Gaussian,
                    RankPattern = new OrderedDictionary<string, int> { ["q_proj"] = 2, ["layers.0"] = 16 },
                    AlphaPattern = new OrderedDictionary<string, ConfigNumber> { ["v_proj"] = 0.5 },
                },
            },
            Training = new TrainingSection
            {
                Steps = 1000, BatchSize = 2, GradientAccumulation = 4, SharePrompts = "grouped", BatchTokens = 2048,
                    LearningRate = 1e-4, Schedule = "cosine", WarmupRatio = 0.1,
                WeightDecay = 0.01, Beta1 = 0.8, Beta2 = 0.95, Epsilon = 1e-6, MaxGradNorm = 0, MaxLength = 128,
                    Shuffle = false,
                Seed = long.MaxValue, EvalEvery = 0, EvalBatchSize = 3, SaveEvery = 50,
                    SavesByTime = false, Threads = 2,
            },
            Comparison = new ComparisonSection { Data = ["/recipes/w.jsonl"], Generations = 1, Facts = 40,
            MaxNewTokens = 7 },
            Output = "/out",
        };
        Assert.Equivalent(expected, recipe, strict: true);
        Assert.Equal(expected.Adapter.Config.ToJson(), recipe.Adapter.Config.ToJson());
    }

    [Fact]
    public void One_layer_and_a_fraction_of_an_epoch()
    {
        Recipe recipe =
            Parse(Least, "adapter.layers_to_transform=2", "training.epochs=0.25", "training.warmup_steps=3");
        Assert.Equal([2], recipe.Adapter.Config.LayersToTransform!);
        Assert.Equal(0.25, recipe.Training.Epochs);
        Assert.Equal(3, recipe.Training.WarmupSteps);
    }

    [Fact]
    public void Overrides_replace_add_and_reset()
    {
        Recipe recipe = Parse(Least + "training:\n  steps: 10\n  seed: 1\n",
            "training.steps=20", "training.steps=30", "training.seed=null", "adapter.target_modules=[a, b]",
                "adapter.rank_pattern={x.y: 3}",
            "data.validation=v=1.jsonl", "training.init_adapter=");
        Assert.Equal(30, recipe.Training.Steps);
        Assert.Equal(42, recipe.Training.Seed);
        Assert.Equal(["a", "b"], recipe.Adapter.Config.TargetModules!);
        Assert.Equal(3, recipe.Adapter.Config.RankPattern["x.y"]);
        Assert.Equal(["/recipes/v=1.jsonl"], recipe.Data.Validation);
        Assert.Null(recipe.Training.InitAdapter);
    }

    [Fact]
    public void A_text_among_module_names_is_an_expression()
    {
        LoraConfig config =
            Parse(Least, "adapter.target_modules=all-linear", "adapter.exclude_modules=[down_proj]").Adapter.Config;
        Assert.Equal("all-linear", config.TargetModules!.Text);
        Assert.Null(config.TargetModules.Names);
        Assert.Equal(["down_proj"], config.ExcludeModules!.Names!);
        Assert.Null(config.ExcludeModules.Text);
    }

    [Fact]
    public void Environment_variables_stand_in_paths()
    {
        Environment.SetEnvironmentVariable("LOWRANK_TEST_FOLDER", "/some/where");
        Recipe recipe =
            Parse("model: ${LOWRANK_TEST_FOLDER}/base\ndata: { train: 'x-${LOWRANK_TEST_FOLDER}' }\noutput: $HOME\n");
        Assert.Equal("/some/where/base", recipe.Model);
        Assert.Equal(["/recipes/x-/some/where"], recipe.Data.Train);
        Assert.Equal("/recipes/$HOME", recipe.Output);
    }

    [Fact]
    public void A_file_is_read_with_paths_relative_to_it()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["r.yaml"], "\uFEFF" + Least);
        Recipe recipe = Recipe.Load(folder["r.yaml"], ["model=../m"]);
        Assert.Equal(Path.Combine(Path.GetDirectoryName(folder.Path)!, "m"), recipe.Model);
        Assert.Equal(folder["out"], recipe.Output);
        var e = Assert.Throws<InputException>(() => Recipe.Load(folder["none.yaml"]));
        Assert.Contains("none.yaml was not found", e.Message);
    }
}
