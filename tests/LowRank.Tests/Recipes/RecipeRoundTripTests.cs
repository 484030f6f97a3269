using LowRank.Adapters;
using LowRank.Tasks;
using CsCheck;
using LowRank.Recipes;

namespace LowRank.Tests.Recipes;

public sealed class RecipeRoundTripTests
{
    // Any text a path or name may hold: quotes, backslashes, line ends, colons, letters beyond the basic plane.
    private static readonly Gen<string> Words =
        Gen.OneOf("a", "é", "\"", "\\", ":", " ", "#", "\n", "\t", "'", "{", "]", "\u0085", "\u2028", "😀",
        "null", "~", "1e3")
        .List[1, 6].Select(string.Concat);

    private static readonly Gen<string> Folder = Words.Select(words => "/" + Path.GetFullPath("/x" + words)[1..]);
    private static readonly Gen<double> Positive = Gen.Double[1e-300, 1e300].Select(value => Math.Max(value, 1e-300));
    private static readonly Gen<double> Fraction = Gen.Double[0, 0.999];

    private static readonly Gen<AdapterSection> Lora = Gen.Select(
        Gen.Int[1, 64], Positive, Fraction, Words.List[1, 3], Gen.Bool, Gen.Int[0, 9].List[1, 3],
            Gen.OneOf(BiasTraining.None, BiasTraining.All, BiasTraining.Adapted),
        Gen.Dictionary(Gen.OneOf("q_proj", "a\"b", ".*\\.0", "é"), Gen.Int[1, 9])[0, 3])
        .Select((rank, alpha, dropout, names, flag, layers, bias, ranks) => new AdapterSection
        {
            Config = new LoraConfig
            {
                Rank = rank, Alpha = alpha < int.MaxValue && alpha == (int)alpha ? (ConfigNumber)(int)alpha : alpha,
                Dropout = dropout, Bias = bias, UseRsLora = flag,
                TargetModules = flag ? [.. names] : ModuleSelection.AllLinear,
                ExcludeModules = flag ? ModuleSelection.Pattern(@"\d+\.x""") : [.. names],
                LayersToTransform = [.. layers], LayersPattern = flag ? ModuleSelection.Pattern(names[0]) : null,
                RankPattern = new OrderedDictionary<string, int>(ranks),
                AlphaPattern = new OrderedDictionary<string, ConfigNumber>(ranks.Select(
                    pair => KeyValuePair.Create(pair.Key, (ConfigNumber)(pair.Value / 3.0 + 0.1)))),
                InitLoraWeights = flag ? InitialWeights.Gaussian : InitialWeights.False,
            },
        });

    private static readonly Gen<TrainingSection> Training = Gen.Select(
        Positive, Gen.Bool, Gen.Long[1, long.MaxValue], Fraction, Gen.Int[1, 9],
            Gen.OneOf("constant", "linear", "cosine"), Folder)
        .Select((number, flag, whole, fraction, count, schedule, folder) => new TrainingSection
        {
            Epochs = flag ? 3 : number, Steps = flag ? whole
                : null, BatchSize = count, GradientAccumulation = count + 1, LearningRate = number,
            Packing = flag, SharePrompts = flag ? "grouped" : "false", BatchTokens = flag ? null
                : count, GradientCheckpointing = flag,
            Schedule = schedule, WarmupSteps = flag ? whole / 2 : 0, WarmupRatio = flag ? 0
                : fraction, WeightDecay = fraction, Beta1 = fraction,
            Beta2 = 0.5, Epsilon = number, MaxGradNorm = fraction, MaxLength = count + 2, Shuffle = flag, Seed = whole,
            EvalEvery = flag ? 0 : null, SaveEvery = flag ? null : whole, SavesByTime = flag && count % 2 == 0,
            KeepCheckpoints = count,
            MaxSkippedSteps = count, MaxTime = flag ? TimeSpan.FromMilliseconds(1 + whole % 1_000_000_000_000)
            : null, MaxTokens = flag ? whole : null, Threads = flag ? count : null, TensorBoard = flag,
        });

    private static readonly Gen<Recipe> Recipes =
        Gen.Select(Folder, Folder.List[1, 3], Folder.List[0, 2], Lora, Training, Gen.Int[0, 2])
        .Select((folder, train, validation, lora, training, kind) => new Recipe
        {
            Model = folder,
            Device = kind == 0 ? "cuda:3" : "cpu",
            Tf32 = kind == 0,
            Data = new DataSection
            {
                Train = train, TrainOn = kind == 0 ? "all" : "completion", Validation = kind == 1 ? []
                    : validation, ValidationShare = kind == 1 ? 0.25 : 0,
                SplitSeed = kind == 1 ? 7 : 42, Weights = kind == 1 && train.Count > 1
                    ? [.. train.Select((_, i) => i + 0.5)] : null, Deduplicate = kind == 1,
                Columns = kind == 1 ? new Dictionary<string, string> { ["prompt"] = "a \"b\"", ["é"] = "null" } : [],
                Template = kind == 1 ? new Dictionary<string, string> { ["text"] = "{{ a }}\n\"x\"" } : [],
                Cache = kind != 1, Text = kind == 1 ? "lines" : "pairs", OnBadRow = kind == 1 ? "skip" : "error",
            },
            Adapter = kind switch { 0 => lora, 1 => new AdapterSection { Method = null }, _ => new AdapterSection() },
            Training = kind switch
            {
                0 => training,
                1 => training with { FromScratch = true },
                _ => training with { InitAdapter = folder },
            },
            Comparison = kind == 0 ? null
            : new ComparisonSection { Data = train, Facts = kind, Generations = kind, MaxNewTokens = kind },
            Output = folder + "/out",
        });

    [Fact]
    public void A_recipe_written_reads_back_equal() => Recipes.Sample(recipe =>
    {
        Recipe read = Recipe.Parse(recipe.ToYaml(), "/elsewhere");
        Assert.Equivalent(recipe, read, strict: true);
        Assert.Equal(recipe.ToYaml(), read.ToYaml());
    }, iter: 500);

    private static readonly ObjectiveSection[] Objectives =
    [
        new() { Type = "dpo", Loss = ["sigmoid", "robust"], LossWeights = [1, 0.5], LabelSmoothing = 0.1, Reference = "base" },
        new() { Type = "kto", DesirableWeight = 2 }, new() { Type = "orpo", Beta = 0.3 }, new() { Type = "cpo" },
        new() { Type = "simpo", Gamma = 1 },
    ];

    [Fact]
    public void Every_objective_reads_back_what_it_wrote()
    {
        foreach (ObjectiveSection objective in Objectives)
        {
            var recipe = new Recipe
            {
                Model = "/m", Data = new DataSection { Train = ["/t"] }, Output = "/o", Objective = objective,
            };
            Recipe read = Recipe.Parse(recipe.ToYaml(), "/elsewhere");
            Assert.Equal(recipe.ToYaml(), read.ToYaml());
            Assert.Equivalent(recipe.Objective.Preference, read.Objective.Preference, strict: true);
        }
    }

    [Fact]
    public void Every_key_is_written()
    {
        var recipe = new Recipe
        {
            Model = "/m", Data = new DataSection { Train = ["/t", "/u"], ValidationShare = 0.1 }, Output = "/o",
                Comparison = new ComparisonSection { Data = ["/t"] },
            Adapter = new AdapterSection { Config = new LoraConfig { LayersToTransform = [0] } },
        };
        // Each task and each method writes the options that it has.
        string yaml = recipe.ToYaml()
            + string.Concat(TaskRegistry.Names.Select(name => (recipe with { Task = name }).ToYaml()))
            + string.Concat(Objectives.Select(objective => (recipe with { Objective = objective }).ToYaml()))
            + string.Concat(
                AdapterMethods.All.Select(
                    method => (recipe with { Adapter = new AdapterSection { Method = method } }).ToYaml()))
            + (recipe with { Data = recipe.Data with { Streaming = true },
            Training = new TrainingSection { Steps = 1 } }).ToYaml()
            + (recipe with { Adapter = new AdapterSection { Method = new PromptTuningMethod
            {
                Config = new PromptTuningConfig { PromptTuningInit = "TEXT", PromptTuningInitText = "a" },
            } } }).ToYaml();
        string[] alternatives = ["base", "steps", "warmup_ratio"]; // resolved; instead of epochs and warmup_steps
        foreach (string key in RecipeKeys.All.Select(key => key.Name).Except(alternatives))
            Assert.Matches($"(?m)^ *{key}:", yaml);
    }

    [Fact]
    public void Every_method_reads_back_what_it_wrote()
    {
        foreach (string name in AdapterMethods.Names)
        {
            Recipe recipe =
                Recipe.Parse($"model: /m\ndata: {{train: /t}}\nadapter: {{method: {name}}}\noutput: /o\n", "/");
            Recipe again = Recipe.Parse(recipe.ToYaml(), "/elsewhere");
            Assert.Equal(recipe.ToYaml(), again.ToYaml());
            Assert.Equal(name, again.Adapter.MethodName);
        }
    }

    [Fact]
    public void The_settings_of_a_method_are_written_in_its_own_order()
    {
        var recipe = new Recipe { Model = "/m", Data = new DataSection { Train = ["/t"] }, Output = "/o" };
        foreach (IAdapterMethod method in AdapterMethods.All)
        {
            string yaml = (recipe with { Adapter = new AdapterSection { Method = method } }).ToYaml();
            string[] written = [.. yaml.Split('\n').SkipWhile(line => line != "  method_options:").Skip(1)
                .TakeWhile(line => line.StartsWith("    ", StringComparison.Ordinal))
                .Select(line => line.Trim().Split(':')[0])];
            IEnumerable<MethodOption> used = method.Options.Where(option => option.Unless?.Invoke(method) is null);
            Assert.Equal(used.Select(option => option.Name), written);
        }
    }

    [Fact]
    public void Numbers_keep_a_point_before_their_exponent()
    {
        var recipe = new Recipe { Model = "/m", Data = new DataSection { Train = ["/t"] }, Output = "/o" };
        Assert.Contains("  learning_rate: 0.0002\n", recipe.ToYaml());
        Assert.Contains("  epsilon: 1.0E-08\n", recipe.ToYaml());
        Assert.Contains("  epochs: 3\n", recipe.ToYaml());
    }
}
