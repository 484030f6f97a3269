using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Adapters;
using LowRank.Data;
using LowRank.Data.Packing;
using LowRank.Generation;
using LowRank.Recipes;

namespace LowRank;

/// <summary>The recipe that typed options stand for: what differs from its default becomes a key, so that options are
/// read, checked and run as a recipe is, and messages name the options again.</summary>
internal static class AdaptationRecipe
{
    private const string Name = "the options";

    private static readonly JsonSerializerOptions Readable =
        new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Each option of a record by the recipe's key that it stands for.</summary>
    private sealed record Setting<T>(string Key, string Option, Func<T, object?> Value);

    private static string OfObjective(string name) => $"{nameof(TrainingOptions.Objective)}.{name}";

    private static readonly Setting<LanguageModelOptions>[] OfModel =
    [
        new("device", nameof(LanguageModelOptions.Device), o => o.Device),
        new("base_dtype", nameof(LanguageModelOptions.BaseDtype), o => o.BaseDtype),
        new("compute_dtype", nameof(LanguageModelOptions.ComputeDtype), o => o.ComputeDtype),
        new("base_head", nameof(LanguageModelOptions.BaseHead), o => o.BaseHead),
        new("tf32", nameof(LanguageModelOptions.Tf32), o => o.Tf32),
        new("training.threads", nameof(LanguageModelOptions.Threads), o => o.Threads),
    ];

    private static readonly Setting<TaskOptions>[] OfTask =
    [
        new("task", nameof(TaskOptions.Name), o => o.Name),
        new("task_options.labels", nameof(TaskOptions.Labels), o => o.Labels),
        new("task_options.problem", nameof(TaskOptions.Problem), o => o.Problem),
        new("task_options.new_head", nameof(TaskOptions.NewHead), o => o.NewHead),
        new("task_options.pooling", nameof(TaskOptions.Pooling), o => o.Pooling),
        new("task_options.temperature", nameof(TaskOptions.Temperature), o => o.Temperature),
        new("task_options.mask_share", nameof(TaskOptions.MaskShare), o => o.MaskShare),
        new("task_options.center_rewards_coefficient", nameof(TaskOptions.CenterRewardsCoefficient),
            o => o.CenterRewardsCoefficient),
        new("task_options.stride", nameof(TaskOptions.Stride), o => o.Stride),
        new("task_options.max_answer_tokens", nameof(TaskOptions.MaxAnswerTokens), o => o.MaxAnswerTokens),
    ];

    private static readonly Setting<Dataset>[] OfRows =
    [
        new("data.columns", nameof(Dataset.Columns), o => o.Columns),
        new("data.template", nameof(Dataset.Template), o => o.Template),
        new("data.text", nameof(Dataset.Text), o => o.Text is { } text ? Word(text) : null),
        new("data.csv.separator", nameof(Dataset.Csv), o => o.Csv?.SeparatorWord),
        new("data.csv.header", nameof(Dataset.Csv), o => o.Csv?.Header),
        new("data.on_bad_row", nameof(Dataset.OnBadRow), o => Word(o.OnBadRow)),
        new("data.deduplicate", nameof(Dataset.Deduplicate), o => o.Deduplicate),
    ];

    private static readonly Setting<TrainingOptions>[] OfTraining =
    [
        new("data.validation_share", nameof(TrainingOptions.ValidationShare), o => o.ValidationShare),
        new("data.split_seed", nameof(TrainingOptions.SplitSeed), o => o.SplitSeed),
        new("data.train_on", nameof(TrainingOptions.TrainOn), o => Word(o.TrainOn)),
        new("objective.type", OfObjective(nameof(ObjectiveSection.Type)), o => o.Objective.Type),
        new("objective.loss", OfObjective(nameof(ObjectiveSection.Loss)), o => o.Objective.Loss),
        new("objective.loss_weights", OfObjective(nameof(ObjectiveSection.LossWeights)),
            o => o.Objective.LossWeights.Count > 0 ? o.Objective.LossWeights : null),
        new("objective.beta", OfObjective(nameof(ObjectiveSection.Beta)), o => o.Objective.Beta),
        new("objective.label_smoothing", OfObjective(nameof(ObjectiveSection.LabelSmoothing)),
            o => o.Objective.LabelSmoothing),
        new("objective.gamma", OfObjective(nameof(ObjectiveSection.Gamma)), o => o.Objective.Gamma),
        new("objective.nll_weight", OfObjective(nameof(ObjectiveSection.NllWeight)), o => o.Objective.NllWeight),
        new("objective.desirable_weight", OfObjective(nameof(ObjectiveSection.DesirableWeight)),
            o => o.Objective.DesirableWeight),
        new("objective.undesirable_weight", OfObjective(nameof(ObjectiveSection.UndesirableWeight)),
            o => o.Objective.UndesirableWeight),
        new("objective.reference", OfObjective(nameof(ObjectiveSection.Reference)), o => o.Objective.Reference),
        new("data.chat_template", nameof(TrainingOptions.ChatTemplate), o => o.ChatTemplate),
        new("data.cache", nameof(TrainingOptions.CacheTokens), o => o.CacheTokens),
        new("data.streaming", nameof(TrainingOptions.Streaming), o => o.Streaming),
        new("data.shuffle_buffer", nameof(TrainingOptions.ShuffleBuffer), o => o.ShuffleBuffer),
        new("adapter.new_tokens", nameof(TrainingOptions.NewTokens), o => o.NewTokens),
        new("training.init_adapter", nameof(TrainingOptions.StartFrom), o => o.StartFrom),
        new("training.epochs", nameof(TrainingOptions.Epochs), o => o.Epochs),
        new("training.steps", nameof(TrainingOptions.Steps), o => o.Steps),
        new("training.batch_size", nameof(TrainingOptions.BatchSize), o => o.BatchSize),
        new("training.gradient_accumulation", nameof(TrainingOptions.GradientAccumulation),
            o => o.GradientAccumulation),
        new("training.packing", nameof(TrainingOptions.Packing), o => o.Packing),
        new("training.share_prompts", nameof(TrainingOptions.SharePrompts), o => o.SharePrompts switch
        {
            PromptSharing.Off => "false",
            PromptSharing.InStep => "true",
            var other => Word(other),
        }),
        new("training.batch_tokens", nameof(TrainingOptions.BatchTokens), o => o.BatchTokens),
        new("training.gradient_checkpointing", nameof(TrainingOptions.GradientCheckpointing),
            o => o.GradientCheckpointing),
        new("training.learning_rate", nameof(TrainingOptions.LearningRate), o => o.LearningRate),
        new("training.schedule", nameof(TrainingOptions.Schedule), o => Word(o.Schedule)),
        new("training.warmup_steps", nameof(TrainingOptions.WarmupSteps), o => o.WarmupSteps),
        new("training.warmup_ratio", nameof(TrainingOptions.WarmupRatio), o => o.WarmupRatio),
        new("training.optimizer", nameof(TrainingOptions.EightBitOptimizer),
            o => o.EightBitOptimizer ? TrainingKeys.EightBit : "adamw"),
        new("training.weight_decay", nameof(TrainingOptions.WeightDecay), o => o.WeightDecay),
        new("training.beta1", nameof(TrainingOptions.Beta1), o => o.Beta1),
        new("training.beta2", nameof(TrainingOptions.Beta2), o => o.Beta2),
        new("training.epsilon", nameof(TrainingOptions.Epsilon), o => o.Epsilon),
        new("training.max_grad_norm", nameof(TrainingOptions.MaxGradientNorm), o => o.MaxGradientNorm),
        new("training.max_length", nameof(TrainingOptions.MaxLength), o => o.MaxLength),
        new("training.shuffle", nameof(TrainingOptions.Shuffle), o => o.Shuffle),
        new("training.seed", nameof(TrainingOptions.Seed), o => o.Seed),
        new("training.eval_every", nameof(TrainingOptions.EvaluateEvery), o => o.EvaluateEvery),
        new("training.eval_batch_size", nameof(TrainingOptions.EvaluationBatchSize), o => o.EvaluationBatchSize),
        new("training.save_every", nameof(TrainingOptions.SaveEvery), o => o.SaveEvery),
        new("training.keep_checkpoints", nameof(TrainingOptions.KeepCheckpoints), o => o.KeepCheckpoints),
        new("training.max_skipped_steps", nameof(TrainingOptions.MaxSkippedSteps), o => o.MaxSkippedSteps),
        new("training.patience", nameof(TrainingOptions.Patience), o => o.Patience),
        new("training.min_delta", nameof(TrainingOptions.MinDelta), o => o.MinDelta),
        new("training.max_time", nameof(TrainingOptions.MaxTime), o => o.MaxTime?.TotalSeconds),
        new("training.max_tokens", nameof(TrainingOptions.MaxTokens), o => o.MaxTokens),
        new("training.tensorboard", nameof(TrainingOptions.TensorBoard), o => o.TensorBoard),
    ];

    private static readonly Setting<LoraConfig>[] OfAdapter =
    [
        new("adapter.rank", nameof(LoraConfig.Rank), o => o.Rank),
        new("adapter.alpha", nameof(LoraConfig.Alpha), o => o.Alpha.Value),
        new("adapter.dropout", nameof(LoraConfig.Dropout), o => o.Dropout),
        new("adapter.target_modules", nameof(LoraConfig.TargetModules), o => Modules(o.TargetModules)),
        new("adapter.exclude_modules", nameof(LoraConfig.ExcludeModules), o => Modules(o.ExcludeModules)),
        new("adapter.bias", nameof(LoraConfig.Bias), o => o.Bias switch
        {
            BiasTraining.Adapted => "lora_only",
            var other => Word(other),
        }),
        new("adapter.use_rslora", nameof(LoraConfig.UseRsLora), o => o.UseRsLora),
        new("adapter.layers_to_transform", nameof(LoraConfig.LayersToTransform), o => o.LayersToTransform?.Layers),
        new("adapter.layers_pattern", nameof(LoraConfig.LayersPattern), o => Modules(o.LayersPattern)),
        new("adapter.rank_pattern", nameof(LoraConfig.RankPattern), o => o.RankPattern),
        new("adapter.alpha_pattern", nameof(LoraConfig.AlphaPattern),
            o => o.AlphaPattern.ToDictionary(p => p.Key, p => p.Value.Value)),
        new("adapter.modules_to_save", nameof(LoraConfig.ModulesToSave), o => o.ModulesToSave),
        new("adapter.ensure_weight_tying", nameof(LoraConfig.EnsureWeightTying), o => o.EnsureWeightTying),
        new("adapter.lora_bias", nameof(LoraConfig.LoraBias), o => o.LoraBias),
        new("adapter.trainable_token_indices", nameof(LoraConfig.TrainableTokenIndices),
            o => o.TrainableTokenIndices?.SelectMany(tokens => tokens.Value)),
        new("adapter.init_lora_weights", nameof(LoraConfig.InitLoraWeights), o => o.InitLoraWeights.Name),
    ];

    /// <summary>Every key that an option stands for, with the option's name in code.</summary>
    internal static IReadOnlyDictionary<string, string> Options { get; } = new Dictionary<string, string>(
    [
        .. Named(nameof(LanguageModelOptions), OfModel), .. Named(nameof(TaskOptions), OfTask),
        .. Named(nameof(Dataset), OfRows), .. Named(nameof(TrainingOptions), OfTraining),
        .. Named(nameof(LoraConfig), OfAdapter), new("adapter.method", "TrainingOptions.Method"),
        new("data.train", "the rows"), new("data.validation", "TrainingOptions.Validation"),
        new("output", "TrainingOptions.OutputFolder"), new("model", "the model"),
    ]);

    // Settings that recipes do not have.
    private static readonly Dictionary<string, string> OthersByPath = new()
    {
        [KnownSettings.Run.Path] = "The adaptation",
        [KnownSettings.Resume.Path] = $"TrainingOptions.{nameof(TrainingOptions.Resume)}",
        [KnownSettings.MaxNewTokens.Path] = $"GenerationOptions.{nameof(GenerationOptions.MaxNewTokens)}",
        [KnownSettings.Temperature.Path] = $"GenerationOptions.{nameof(GenerationOptions.Temperature)}",
        [KnownSettings.TopK.Path] = $"GenerationOptions.{nameof(GenerationOptions.TopK)}",
        [KnownSettings.TopP.Path] = $"GenerationOptions.{nameof(GenerationOptions.TopP)}",
        [KnownSettings.MinP.Path] = $"GenerationOptions.{nameof(GenerationOptions.MinP)}",
        [KnownSettings.RepetitionPenalty.Path] = $"GenerationOptions.{nameof(GenerationOptions.RepetitionPenalty)}",
        [KnownSettings.FrequencyPenalty.Path] = $"GenerationOptions.{nameof(GenerationOptions.FrequencyPenalty)}",
        [KnownSettings.PresencePenalty.Path] = $"GenerationOptions.{nameof(GenerationOptions.PresencePenalty)}",
        [KnownSettings.StopStrings.Path] = $"GenerationOptions.{nameof(GenerationOptions.StopStrings)}",
        [KnownSettings.Constraint.Path] = $"GenerationOptions.{nameof(GenerationOptions.Constraint)}",
        [KnownSettings.LogitBias.Path] = $"GenerationOptions.{nameof(GenerationOptions.LogitBias)}",
    };

    /// <summary>Finds what is to be trained, and checks all options; nothing is read or written.</summary>
    /// <param name="model">The base: a folder, or a name on the Hub.</param>
    /// <param name="opening">How it is opened.</param>
    /// <param name="rows">The rows to learn from.</param>
    /// <param name="adapter">What is trained; null for the default.</param>
    /// <param name="training">How.</param>
    /// <param name="files">The files that are to hold the rows.</param>
    /// <exception cref="InputException">Options out of range, or without effect beside the others: all at
    /// once.</exception>
    public static AdaptedMethod Check(
        string model, LanguageModelOptions opening, Dataset rows, AdapterConfig? adapter, TrainingOptions training,
        AdaptationFiles files)
    {
        List<string> problems = [.. Problems(rows, training, files)];
        AdaptedMethod? adapted = null;
        try
        {
            adapted = AdaptedMethod.From(adapter, training);
        }
        catch (InputException error)
        {
            problems.AddRange(error.Problems);
        }
        AdaptedMethod known = adapted ?? AdaptedMethod.From(null, new TrainingOptions());
        // What is wrong with how rows are read is not said twice.
        Dataset readable = rows.Problems(isEach: false).All.Count == 0 ? rows : Dataset.FromFiles(files.Training);
        Wording(files, known).Do(() => Create(model, opening, readable, files, known, training with
        {
            Task = training.Task ?? TaskOptions.CausalLanguageModel,
            Method = adapted is null ? null : training.Method,
        }, problems));
        return known;
    }

    /// <summary>Makes the recipe.</summary>
    /// <param name="model">The base: a folder, or a name on the Hub.</param>
    /// <param name="opening">How it is opened.</param>
    /// <param name="rows">The rows to learn from.</param>
    /// <param name="files">The files that hold them, and those held out; and the run's folder.</param>
    /// <param name="adapter">What is trained.</param>
    /// <param name="training">How.</param>
    /// <param name="known">Problems that are told besides.</param>
    /// <exception cref="InputException">Options out of range, or without effect beside the others: all at
    /// once.</exception>
    public static Recipe Create(
        string model, LanguageModelOptions opening, Dataset rows, AdaptationFiles files, AdaptedMethod adapter,
        TrainingOptions training, params IReadOnlyList<string> known)
    {
        List<string> problems = [.. known];
        var keys = new JsonObject { ["model"] = model, ["output"] = files.Output };
        Set(keys, "data.train", files.Training);
        if (files.Validation.Count > 0) Set(keys, "data.validation", files.Validation);
        Add(keys, OfModel, opening, new LanguageModelOptions(), problems);
        Add(keys, OfTask, training.Task, TaskOptions.CausalLanguageModel, problems);
        Add(keys, OfRows, rows, Dataset.FromFiles("-"), problems);
        Add(keys, OfTraining, training with { Seed = training.Seed ?? opening.Seed }, new TrainingOptions(), problems);
        Add(keys, adapter, training.StartFrom is null, problems);
        // Without a folder nobody can resume, and what a program holds is tokenised once.
        if (training is { OutputFolder: null, SaveEvery: null }) Set(keys, "training.save_every", "none");
        bool caches = training is { CacheTokens: true, Streaming: false }
            && training.Task.Name == TaskOptions.CausalLanguageModel.Name;
        if (caches && rows.IsHeld) Set(keys, "data.cache", false);
        return Read(keys, problems, Wording(files, adapter));
    }

    private static Recipe Read(JsonObject keys, IReadOnlyList<string> known, Wording wording)
    {
        Recipe recipe;
        try
        {
            recipe = RecipeReader.Read(
                keys.ToJsonString(Readable), Environment.CurrentDirectory, [], Name, origin: wording);
        }
        catch (InputException error) when (known.Count > 0)
        {
            throw new InputException($"{error.Details.Count + known.Count} problems in {Name}:",
                [.. error.Details, .. known.Select(problem => new Problem(problem))]);
        }
        return known.Count == 0 ? recipe
            : throw new InputException($"{known.Count} problem{(known.Count == 1 ? "" : "s")} in {Name}:", known);
    }

    // What a recipe has no words for.
    private static IEnumerable<string> Problems(Dataset rows, TrainingOptions training, AdaptationFiles files)
    {
        OptionProblems problems = new(nameof(TrainingOptions));
        problems.Require(nameof(training.Task), training.Task);
        problems.AddIf(training.OutputFolder is not null && training.OutputFolder.Trim().Length == 0,
            nameof(training.OutputFolder), "is empty. Name a folder, or leave it out.");
        bool holdsOut = training.Validation is not null || training.ValidationShare > 0;
        problems.AddIf(training.KeepBest && (!holdsOut || training.EvaluateEvery == 0), nameof(training.KeepBest),
            "is true, and no loss is measured on held-out rows. Give Validation or ValidationShare" +
            (training.EvaluateEvery == 0 ? ", and leave out EvaluateEvery." : "."));
        if (Recipes.Steps.OutputFolder.Problem(files.Output) is { } obstacle)
            problems.Add(nameof(training.OutputFolder), obstacle);
        const string WithoutFolder = "has no effect without an OutputFolder. Give one, or leave it out.";
        bool isKept = training.OutputFolder is not null;
        problems.AddIf(!isKept && training.Resume, nameof(training.Resume), WithoutFolder);
        problems.AddIf(!isKept && training.TensorBoard, nameof(training.TensorBoard), WithoutFolder);
        problems.AddIf(!isKept && training.SaveEvery is not null, nameof(training.SaveEvery), WithoutFolder);
        problems.AddIf(!isKept && training.KeepCheckpoints != new TrainingOptions().KeepCheckpoints,
            nameof(training.KeepCheckpoints), WithoutFolder);
        problems.AddIf(training.Validation is { } heldOut && !heldOut.IsReadAs(Dataset.FromFiles("-"))
            && !heldOut.IsReadAs(rows), nameof(training.Validation),
            "is to be read in another way than the rows to learn from (Columns, Template, Text, Csv, OnBadRow, " +
            "Deduplicate). Leave these out: held-out rows are read as the others.");
        return [.. problems.All, .. rows.Problems(isEach: false).All,
            .. training.Validation?.Problems(isEach: false).All ?? []];
    }

    private static void Add(JsonObject keys, AdaptedMethod adapter, bool isNew, List<string> problems)
    {
        if (adapter.Method.Name != new AdapterSection().MethodName) Set(keys, "adapter.method", adapter.Method.Name);
        int before = problems.Count;
        if (isNew) // an adapter to begin from has its own settings
        {
            Add(keys, OfAdapter, adapter.Shared, new LoraConfig(), problems, adapter.NameOf);
            // The method's default may be another than LoRA's.
            if (adapter.Method.Keys.Contains("rank")) Set(keys, "adapter.rank", adapter.Shared.Rank);
            if (adapter.Method.Keys.Contains("alpha")) Set(keys, "adapter.alpha", adapter.Shared.Alpha.Value);
        }
        foreach ((string name, object value) in adapter.Options)
            SetOrRefuse(keys, $"adapter.method_options.{name}", value, problems, adapter.NameOf);
        if (problems.Count == before) problems.AddRange(adapter.Lost());
    }

    /// <summary>How a program words problems: settings are its options.</summary>
    /// <param name="files">Where the rows of a program were written, which messages call rows.</param>
    /// <param name="adapter">What is trained, for the names of its settings.</param>
    public static Wording Wording(AdaptationFiles? files = null, AdaptedMethod? adapter = null) =>
        new(setting => NameOf(setting.Path, adapter) is not { } name ? null
            : setting.Value is null || setting.Path == KnownSettings.Columns.Path ? name
            : $"{name} = {setting.Value}")
        { Files = files?.Names ?? new Dictionary<string, string>() };

    private static string? NameOf(string path, AdaptedMethod? adapter)
    {
        if (adapter?.NameOf(path) is { } own) return own;
        if ((Options.GetValueOrDefault(path) ?? OthersByPath.GetValueOrDefault(path)) is { } known) return known;
        int dot = path.LastIndexOf('.'); // a part of an option, such as a template's
        return dot > 0 && Options.GetValueOrDefault(path[..dot]) is { } whole ? whole + path[dot..] : null;
    }

    private static IEnumerable<KeyValuePair<string, string>> Named<T>(string record, Setting<T>[] settings) =>
        settings.Select(setting => KeyValuePair.Create(setting.Key, $"{record}.{setting.Option}"));

    private static void Add<T>(JsonObject keys, Setting<T>[] settings, T given, T defaults, List<string> problems,
        Func<string, string?>? nameOf = null)
    {
        foreach (Setting<T> setting in settings)
        {
            object? value = setting.Value(given), usual = setting.Value(defaults);
            if (value is null && usual is not null)
                problems.Add($"{nameOf?.Invoke(setting.Key) ?? Options[setting.Key]} is null. Leave it out for its " +
                    "default.");
            else if (value is not null && !AreEqual(value, usual))
                SetOrRefuse(keys, setting.Key, value, problems, nameOf);
        }
    }

    // By their content, as a recipe has them.
    private static bool AreEqual(object value, object? usual) => usual is not null
        && (value is string || value is not System.Collections.IEnumerable ? value.Equals(usual)
            : Flaw(value) is null && JsonNode.DeepEquals(Node(value), Node(usual)));

    private static void SetOrRefuse(
        JsonObject keys, string key, object value, List<string> problems, Func<string, string?>? nameOf)
    {
        if (Flaw(value) is { } flaw) problems.Add($"{nameOf?.Invoke(key) ?? Options[key]} {flaw}");
        else Set(keys, key, value);
    }

    // What JSON has no word for.
    private static string? Flaw(object? value) => value switch
    {
        null => "has an entry that is null. Remove it.",
        double number when !double.IsFinite(number) => string.Create(
            CultureInfo.InvariantCulture, $"is {number}, expected a finite number."),
        string => null,
        IReadOnlyDictionary<string, string> texts => texts.Values.Select(Flaw).FirstOrDefault(flaw => flaw is not null),
        System.Collections.IEnumerable list and not System.Collections.IDictionary =>
            list.Cast<object?>().Select(Flaw).FirstOrDefault(flaw => flaw is not null),
        _ => null,
    };

    private static void Set(JsonObject keys, string key, object value)
    {
        string[] path = key.Split('.');
        foreach (string section in path[..^1])
        {
            if (keys[section] is null) keys[section] = new JsonObject();
            keys = keys[section]!.AsObject();
        }
        keys[path[^1]] = Node(value);
    }

    private static JsonNode Node(object value) => value switch
    {
        string text => JsonValue.Create(text),
        bool flag => JsonValue.Create(flag),
        int whole => JsonValue.Create(whole),
        long whole => JsonValue.Create(whole),
        double number => JsonValue.Create(number),
        IReadOnlyDictionary<string, string> texts => Map(texts, text => text),
        IReadOnlyDictionary<string, int> numbers => Map(numbers, number => number),
        IReadOnlyDictionary<string, double> numbers => Map(numbers, number => number),
        System.Collections.IEnumerable list => new JsonArray([.. list.Cast<object>().Select(Node)]),
        _ => throw new ArgumentException($"A recipe has no value such as {value}.", nameof(value)),
    };

    private static JsonObject Map<T>(IReadOnlyDictionary<string, T> values, Func<T, object> value) =>
        new(values.Select(pair => KeyValuePair.Create(pair.Key, (JsonNode?)Node(value(pair.Value)!))));

    private static string Word<T>(T value) where T : struct, Enum => value.ToString().ToLowerInvariant();

    private static object? Modules(ModuleSelection? modules) => modules?.Names ?? (object?)modules?.Text;
}
