using LowRank.Adapters.Methods;
using LowRank.Data.Rows;
using LowRank.Hub;
using LowRank.IO;
using LowRank.Models.Sentences;
using LowRank.Quantization;
using LowRank.Recipes.Keys;
using LowRank.Tasks;
using System.Text.RegularExpressions;

namespace LowRank.Recipes;

/// <summary>Turns YAML into a <see cref="Recipe"/>.</summary>
internal sealed partial class RecipeReader
{
    private readonly string folder;
    private readonly RecipeProblems problems;

    private RecipeReader(string folder, RecipeProblems problems)
    {
        this.folder = folder;
        this.problems = problems;
    }

    public static Recipe Read(string text, string folder, IReadOnlyList<string> overrides, string name,
        SchemaRecorder? recorder = null, bool looksForFiles = false)
    {
        var found = new RecipeProblems(name);
        YamlValue? root =
            YamlTree.Read(text, mark => new YamlPlace(name, mark.Line, mark.Column, IsOverride: false), found);
        if (root is null or { IsNull: true })
        {
            found.ThrowIfAny(); // it is not YAML; otherwise it is empty
            root = new YamlValue(YamlKind.Map, new YamlPlace(name, 1, 1, IsOverride: false));
        }
        if (root.Kind != YamlKind.Map)
        {
            found.Add(root.Place, $"the recipe is {root}, expected keys with values: model, data, output");
            found.ThrowIfAny();
        }
        RecipeInheritance.Apply(root, folder, found);
        IReadOnlyList<string> notes = RecipeOverrides.Apply(root, overrides, found),
            replaced = RecipeInheritance.PreferOverrides(root);
        return new RecipeReader(folder, found)
            .Read(new YamlSection(root, "", found, recorder),
            looksForFiles) with { ReadingNotes = [.. notes, .. replaced] };
    }

    private Recipe Read(YamlSection root, bool looksForFiles)
    {
        root.Require("model", "the folder of the base model, or its name on the Hugging Face Hub");
        root.Require("data", "a section with train");
        root.Require("output", "the folder that receives the adapter");
        string? model = PlaceOf(root, "model"), output = PathOf(root, "output");
        string device = root.Text("device") ?? "cpu";
        if (!DevicePattern().IsMatch(device))
            root.Reject("device", $"is {YamlValue.Short(device)}, expected cpu, cuda, cuda:N or mps");
        string baseDtype = root.OneOf("base_dtype", WeightFormats.Auto, [.. WeightFormats.Names]);
        bool tf32 = root.Flag("tf32", false);
        string task = root.OneOf("task", TaskRegistry.Default, [.. TaskRegistry.Names]);
        DataSection? data = root.Child("data") is { } dataSection ? ReadData(dataSection) : null;
        AdapterSection adapter = root.Child("adapter") is { } adapterSection ? ReadAdapter(adapterSection) : new();
        var recipe = new Recipe
        {
            Task = task,
            TaskOptions = root.Child("task_options") is { } options ? ReadTask(options) : new(),
            Model = model ?? "",
            Device = device,
            BaseDtype = baseDtype,
            Tf32 = tf32,
            Data = data ?? new DataSection { Train = [] },
            Adapter = adapter,
            Training = ReadTraining(root.Child("training"), adapter),
            Comparison = root.Child("comparison") is { } section ? ReadComparison(section, data) : null,
            Output = output ?? "",
            Given = root.Given(),
        };
        RefuseWithoutEffect(new RecipeChoices(recipe, recipe.Given.ContainsKey) { HasData = data is not null });
        root.RejectUnknown();
        if (looksForFiles && problems.Count > 0) ReportMissing(root);
        problems.ThrowIfAny();
        return recipe;
    }

    // Nothing that was asked for is ignored in silence.
    private void RefuseWithoutEffect(RecipeChoices choices)
    {
        foreach (RecipeKey key in RecipeKeys.All)
            if (choices.Recipe.Given!.TryGetValue(key.Full, out YamlPlace place) && key.Refusal(choices) is { } reason)
                problems.Add(place, $"{key.Full} {reason}");
    }

    private static TaskSection ReadTask(YamlSection section)
    {
        var d = new TaskSection();
        var options = new TaskSection
        {
            Labels = section.Texts("labels") is { } labels ? [.. labels.Select(label => label.Text)] : null,
            Problem = section.Has("problem")
            ? section.OneOf("problem", "", [.. Tasks.SequenceClassification.Problems.All]) : null,
            NewHead = section.Flag("new_head", d.NewHead),
            Pooling = section.Has("pooling") ? section.OneOf("pooling", "", [.. SentenceFolder.ModeNames]) : null,
            Temperature = section.Number("temperature", d.Temperature, above: true),
            MaskShare = section.Number("mask_share", d.MaskShare, above: true, below: 1),
            Stride = section.Count("stride", 0, d.Stride),
            MaxAnswerTokens = section.Count("max_answer_tokens", 1, d.MaxAnswerTokens),
        };
        section.RejectUnknown();
        return options;
    }

    private AdapterSection ReadAdapter(YamlSection section)
    {
        var defaults = new AdapterSection();
        string methodName = section.OneOf("method", defaults.Method, [.. AdapterMethods.Names, "full"]);
        IAdapterMethod? method = methodName == "full" ? null : AdapterMethods.Get(methodName);
        (IReadOnlyList<string>? targets, string? targetPattern) = Modules(section, "target_modules");
        (IReadOnlyList<string>? excluded, string? excludePattern) = Modules(section, "exclude_modules");
        var adapter = new AdapterSection
        {
            Method = methodName,
            Rank = section.Count("rank", 1, method?.DefaultRank ?? defaults.Rank),
            Alpha = section.Number("alpha", method?.DefaultAlpha ?? defaults.Alpha, above: true),
            Dropout = section.Number("dropout", defaults.Dropout, below: 1),
            TargetModules = targets,
            TargetPattern = targetPattern,
            ExcludeModules = excluded,
            ExcludePattern = excludePattern,
            Bias = section.OneOf("bias", defaults.Bias, "none", "all", "lora_only"),
            UseRsLora = section.Flag("use_rslora", defaults.UseRsLora),
            LayersToTransform = section.Wholes("layers_to_transform"),
            LayersPattern = section.Text("layers_pattern"),
            RankPattern = Patterns(section, "rank_pattern", whole: true, value => (int)value),
            AlphaPattern = Patterns(section, "alpha_pattern", whole: false, value => value),
            ModulesToSave = section.Texts("modules_to_save") is { } saved ? [.. saved.Select(name => name.Text)] : null,
            InitLoraWeights = section.OneOf("init_lora_weights", defaults.InitLoraWeights, "true", "false", "gaussian"),
            LoraBias = section.Flag("lora_bias", defaults.LoraBias),
            EnsureWeightTying = section.Flag("ensure_weight_tying", defaults.EnsureWeightTying),
            TrainableTokenIndices = section.Wholes("trainable_token_indices"),
            NewTokens = section.Texts("new_tokens") is { } tokens ? [.. tokens.Select(token => token.Text)] : null,
            MethodOptions = method is not null && section.Child("method_options") is { } options
            ? ReadOptions(options, method) : defaults.MethodOptions,
        };
        section.RejectUnknown();
        return adapter;
    }

    private static Dictionary<string, object?> ReadOptions(YamlSection section, IAdapterMethod method)
    {
        var values = new Dictionary<string, object?>();
        foreach (MethodOption option in method.Options.Where(option => section.Has(option.Name)))
            values[option.Name] = Value(section, option);
        section.RejectUnknown();
        return values;
    }

    private static object? Value(YamlSection section, MethodOption option) => option.Default switch
    {
        int whole => (int)(
            section.Whole(option.Name, (long)option.Least, (long)Math.Min(int.MaxValue, option.Most)) ?? whole),
        double number =>
            section.Number(option.Name, number, option.Least, option.Most < double.PositiveInfinity
            ? Math.BitIncrement(option.Most) : option.Most),
        bool flag => section.Flag(option.Name, flag),
        string text when option.Choices is { } choices => section.OneOf(option.Name, text, [.. choices]),
        _ when option.Type == typeof(IReadOnlyList<string>) =>
        section.Texts(option.Name)?.Select(item => item.Text).ToArray(),
        _ => section.Text(option.Name),
    };

    private TrainingSection ReadTraining(YamlSection? given, AdapterSection adapter)
    {
        var d = new TrainingSection();
        if (given is not { } section)
            return d with { LearningRate = Recipe.DefaultLearningRate(adapter.Method, fromScratch: false) };
        bool fromScratch = section.Flag("from_scratch", d.FromScratch);
        var training = new TrainingSection
        {
            Epochs = section.Number("epochs", d.Epochs, above: true),
            Steps = section.Whole("steps", 1),
            BatchSize = section.Count("batch_size", 1, d.BatchSize),
            GradientAccumulation = section.Count("gradient_accumulation", 1, d.GradientAccumulation),
            Packing = section.Flag("packing", d.Packing),
            SharePrompts = section.OneOf("share_prompts", d.SharePrompts, "true", "false", "grouped"),
            BatchTokens = (int?)section.Whole("batch_tokens", 1, int.MaxValue),
            GradientCheckpointing = section.Flag("gradient_checkpointing", d.GradientCheckpointing),
            LearningRate =
            section.Number("learning_rate", Recipe.DefaultLearningRate(adapter.Method, fromScratch), above: true),
            Schedule = section.OneOf("schedule", d.Schedule, "constant", "linear", "cosine"),
            WarmupSteps = section.Whole("warmup_steps", 0) ?? d.WarmupSteps,
            WarmupRatio = section.Number("warmup_ratio", d.WarmupRatio, below: 1),
            WeightDecay = section.Number("weight_decay", d.WeightDecay),
            Beta1 = section.Number("beta1", d.Beta1, below: 1),
            Beta2 = section.Number("beta2", d.Beta2, below: 1),
            Epsilon = section.Number("epsilon", d.Epsilon, above: true),
            MaxGradNorm = section.Number("max_grad_norm", d.MaxGradNorm),
            MaxLength = section.Count("max_length", 2, d.MaxLength),
            Shuffle = section.Flag("shuffle", d.Shuffle),
            Seed = section.Whole("seed", 0) ?? d.Seed,
            EvalEvery = section.Whole("eval_every", 0),
            EvalBatchSize = section.Count("eval_batch_size", 1, d.EvalBatchSize),
            InitAdapter = PlaceOf(section, "init_adapter"),
            FromScratch = fromScratch,
            Threads = (int?)section.Whole("threads", 1, 1024),
            TensorBoard = section.Flag("tensorboard", d.TensorBoard),
        };
        (long? saveEvery, string saves) = section.WholeOrWord("save_every", 1, "auto", "none");
        training = ReadCourse(section, training) with { SaveEvery = saveEvery, SavesByTime = saves == "auto" };
        section.RejectUnknown();
        return training;
    }

    private ComparisonSection ReadComparison(YamlSection section, DataSection? data)
    {
        var d = new ComparisonSection();
        var comparison = new ComparisonSection
        {
            Data = PathsOf(section, "data") ?? data?.Validation ?? [],
            Generations = section.Count("generations", 0, d.Generations),
            Facts = section.Count("facts", 0, d.Facts),
            References = section.Count("references", 0, d.References),
            MaxNewTokens = section.Count("max_new_tokens", 1, d.MaxNewTokens),
            EveryEvaluation = section.Flag("every_evaluation", d.EveryEvaluation),
        };
        if (comparison.Data.Count == 0 && !section.Has("data") && data is not { ValidationShare: > 0 })
            section.Reject(
                "data", "is missing, and there is neither data.validation nor data.validation_share to compare on");
        section.RejectUnknown();
        return comparison;
    }

    private (IReadOnlyList<string>? Names, string? Pattern) Modules(YamlSection section, string key)
    {
        if (section.Texts(key) is not { } texts) return (null, null);
        if (section.IsList(key)) return ([.. texts.Select(text => text.Text)], null);
        CheckExpression(texts[0], RecipeKeys.Full("adapter", key));
        return (null, texts[0].Text);
    }

    private Dictionary<string, T> Patterns<T>(YamlSection section, string key, bool whole, Func<double, T> convert)
    {
        var values = new Dictionary<string, T>();
        foreach ((YamlValue name, double value) in section.Numbers(key, whole))
        {
            CheckExpression(name, RecipeKeys.Full("adapter", key));
            values[name.Text] = convert(value);
        }
        return values;
    }

    private void CheckExpression(YamlValue expression, string key)
    {
        try
        {
            _ = new Regex(expression.Text, RegexOptions.None, TimeSpan.FromSeconds(1));
        }
        catch (ArgumentException e)
        {
            problems.Add(expression.Place,
                $"{key} is {expression}, expected module names or a regular expression: {e.Message}");
        }
    }

    private string? PathOf(YamlSection section, string key) =>
        section.Text(key) is not null && section.Texts(key) is [{ } text] ? Resolve(text) : null;

    // A folder, or where there is none a repository of the Hub, whose name stays as it is.
    private string? PlaceOf(YamlSection section, string key)
    {
        if (section.Text(key) is not { } text || section.Texts(key) is not [{ } given]) return null;
        bool isName = HubRepository.TryParse(text) is not null
            && !Path.Exists(Path.GetFullPath(text, given.Place.Folder ?? folder));
        return isName ? text : Resolve(given);
    }

    private IReadOnlyList<string>? PathsOf(YamlSection section, string key)
    {
        foreach (YamlValue path in section.Texts(key) ?? [])
            if (path.Text == RowFiles.StandardInput)
                problems.Add(path.Place,
                    $"data.{key} is -, the standard input, which can be read once; a recipe's data is read several " +
                    "times. Write it to a file");
        return section.Texts(key)?.Select(Resolve).ToList();
    }

    private string Resolve(YamlValue path)
    {
        string expanded = Variable().Replace(path.Text, match =>
        {
            string? value = Environment.GetEnvironmentVariable(match.Groups[1].Value);
            if (value is null)
                problems.Add(path.Place,
                    $"the environment variable {match.Groups[1].Value} of {path.Text} is not set; set it or write " +
                    "the path out");
            return value ?? "";
        });
        string from = path.Place.Folder ?? folder;
        if (!expanded.Contains('\0')) return Path.GetFullPath(EmbeddedFiles.Resolve(expanded, from), from);
        problems.Add(path.Place, "a path holds the character 0, which no file system takes");
        return folder;
    }

    [GeneratedRegex(@"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")]
    private static partial Regex Variable();

    [GeneratedRegex(@"\A(cpu|mps|cuda(:[0-9]{1,3})?)\z")]
    private static partial Regex DevicePattern();
}
