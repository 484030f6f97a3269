using LowRank.Adapters.Methods;
using LowRank.Recipes.Keys;
using System.Globalization;
using System.Text;

namespace LowRank.Recipes;

/// <summary>Writes a recipe as YAML. Keys without effect, which would be refused when it is read again, are left
/// out.</summary>
internal sealed class RecipeWriter
{
    private readonly StringBuilder text = new();
    private readonly RecipeChoices choices;

    private RecipeWriter(Recipe recipe) => choices = new RecipeChoices(recipe, _ => false);

    public static string Write(Recipe recipe)
    {
        var writer = new RecipeWriter(recipe);
        writer.Keys("", ("model", recipe.Model), ("task", recipe.Task));
        writer.Task(recipe.TaskOptions);
        writer.Keys("", ("device", recipe.Device), ("base_dtype", recipe.BaseDtype), ("tf32", recipe.Tf32));
        writer.Data(recipe.Data);
        writer.Adapter(recipe.Adapter, fromFolder: recipe.Training.InitAdapter is not null);
        writer.Training(recipe.Training, recipe.EffectiveLearningRate);
        if (recipe.Comparison is { } comparison) writer.Comparison(comparison);
        writer.Keys("", ("output", recipe.Output));
        return writer.text.ToString();
    }

    private void Task(TaskSection o) =>
        Section("task_options", ("labels", o.Labels), ("problem", o.Problem), ("new_head", o.NewHead),
        ("pooling", o.Pooling), ("temperature", o.Temperature),
        ("mask_share", o.MaskShare), ("stride", o.Stride), ("max_answer_tokens", o.MaxAnswerTokens));

    private void Data(DataSection data)
    {
        Section("data", ("train", data.Train), ("weights", data.Weights),
            ("validation", data.Validation.Count > 0 ? data.Validation : null),
            ("validation_share", data.ValidationShare), ("split_seed", data.SplitSeed), ("train_on", data.TrainOn),
            ("chat_template", data.ChatTemplate), ("columns", Map(data.Columns)));
        text.Append("  template:\n");
        Keys("data.template",
            [.. RecipeKeys.Sections["data.template"]
            .Select(key => (key, (object?)data.Template.GetValueOrDefault(key)))]);
        Keys("data", ("text", data.Text));
        text.Append("  csv:\n");
        Keys("data.csv", ("separator", data.Csv.SeparatorWord), ("header", data.Csv.Header));
        Keys("data", ("on_bad_row", data.OnBadRow), ("deduplicate", data.Deduplicate), ("cache", data.Cache),
            ("streaming", data.Streaming),
            ("shuffle_buffer", data.ShuffleBuffer));
    }

    private void Adapter(AdapterSection a, bool fromFolder)
    {
        Section("adapter", ("method", a.Method));
        if (a.Method == "full") return;
        IAdapterMethod method = AdapterMethods.Get(a.Method);
        var options = new MethodOptions(method, a.MethodOptions);
        // An adapter to begin from has its own settings; what rules over training is still the recipe's.
        (string, object?)[] own =
            [.. method.Options.Where(option => !fromFolder || a.MethodOptions.ContainsKey(option.Name))
            .Select(option => (option.Name, options.Value(option.Name)))];
        if (!fromFolder)
        {
            Keys("adapter", ("rank", a.Rank), ("alpha", a.Alpha), ("dropout", a.Dropout),
                ("target_modules", (object?)a.TargetModules ?? a.TargetPattern),
                ("exclude_modules", (object?)a.ExcludeModules ?? a.ExcludePattern), ("bias", a.Bias),
                ("use_rslora", a.UseRsLora), ("layers_to_transform", a.LayersToTransform),
                ("layers_pattern", a.LayersPattern),
                ("rank_pattern", a.RankPattern.ToDictionary(pair => pair.Key, pair => (object)pair.Value)),
                ("alpha_pattern", a.AlphaPattern.ToDictionary(pair => pair.Key, pair => (object)pair.Value)),
                ("init_lora_weights", a.InitLoraWeights),
                ("modules_to_save", a.ModulesToSave), ("ensure_weight_tying", a.EnsureWeightTying),
                ("lora_bias", a.LoraBias), ("trainable_token_indices", a.TrainableTokenIndices),
                ("new_tokens", a.NewTokens));
        }
        if (own.Length == 0) return;
        text.Append("  method_options:\n");
        Keys("adapter.method_options", own);
    }

    private void Training(TrainingSection t, double learningRate) => Section("training",
        t.Steps is { } steps ? ("steps", (object?)steps) : ("epochs", t.Epochs),
        ("batch_size", t.BatchSize), ("gradient_accumulation", t.GradientAccumulation), ("packing", t.Packing),
        ("share_prompts", t.SharePrompts),
        ("batch_tokens", t.BatchTokens), ("gradient_checkpointing", t.GradientCheckpointing),
        ("learning_rate", learningRate), ("schedule", t.Schedule),
        t.WarmupRatio > 0 ? ("warmup_ratio", (object?)t.WarmupRatio) : ("warmup_steps", t.WarmupSteps),
        ("weight_decay", t.WeightDecay), ("beta1", t.Beta1), ("beta2", t.Beta2), ("epsilon", t.Epsilon),
        ("max_grad_norm", t.MaxGradNorm),
        ("max_length", t.MaxLength), ("shuffle", t.Shuffle), ("seed", t.Seed), ("eval_every", t.EvalEvery),
        ("eval_batch_size", t.EvalBatchSize),
        ("init_adapter", t.InitAdapter), ("from_scratch", t.FromScratch),
        ("save_every", t.SaveEvery is { } every ? every : t.SavesByTime ? "auto" : "none"),
        ("keep_checkpoints", t.KeepCheckpoints),
        ("max_skipped_steps", t.MaxSkippedSteps), ("patience", t.Patience), ("min_delta", t.MinDelta),
        ("max_time", t.MaxTime?.TotalSeconds),
        ("max_tokens", t.MaxTokens), ("threads", t.Threads), ("tensorboard", t.TensorBoard));

    private void Comparison(ComparisonSection c) =>
        Section("comparison", ("data", c.Data.Count > 0 ? c.Data : null), ("generations", c.Generations),
        ("facts", c.Facts),
        ("references", c.References), ("max_new_tokens", c.MaxNewTokens), ("every_evaluation", c.EveryEvaluation));

    private void Section(string section, params (string Key, object? Value)[] values)
    {
        if (!values.Any(value => TakesEffect(section, value.Key))) return;
        text.Append(section).Append(":\n");
        Keys(section, values);
    }

    private void Keys(string section, params (string Key, object? Value)[] values)
    {
        string indent = section.Length == 0 ? "" : new string(' ', 2 * section.Split('.').Length);
        foreach ((string key, object? value) in values)
            if (TakesEffect(section, key))
                text.Append(indent).Append(key).Append(": ").Append(Value(value)).Append('\n');
    }

    private bool TakesEffect(string section, string key) =>
        RecipeKeys.Get(RecipeKeys.Full(section, key)).Refusal(choices) is null;

    private static Dictionary<string, object> Map(IReadOnlyDictionary<string, string> texts) =>
        texts.ToDictionary(pair => pair.Key, pair => (object)pair.Value);

    private static string Value(object? value) => value switch
    {
        null => "null",
        bool flag => flag ? "true" : "false",
        double number => Number(number),
        string words => Quoted(words),
        IReadOnlyDictionary<string, object> map =>
        $"{{{string.Join(", ", map.Select(pair => $"{Quoted(pair.Key)}: {Value(pair.Value)}"))}}}",
        System.Collections.IEnumerable list => $"[{string.Join(", ", list.Cast<object>().Select(Value))}]",
        _ => string.Create(CultureInfo.InvariantCulture, $"{value}"),
    };

    // The shortest digits that read back as the same number; with a point, which YAML 1.1 readers want before an
    // exponent.
    private static string Number(double number)
    {
        string digits = number.ToString("R", CultureInfo.InvariantCulture);
        return digits.Contains('E') && !digits.Contains('.') ? digits.Replace("E", ".0E") : digits;
    }

    // A YAML text in double quotes.
    private static string Quoted(string words)
    {
        var quoted = new StringBuilder("\"");
        foreach (char c in words)
        {
            if (c is '"' or '\\') quoted.Append('\\').Append(c);
            else if (char.IsControl(c) || c is '\u2028' or '\u2029' or '\uFEFF' or '\uFFFE' or '\uFFFF')
                quoted.Append($"\\u{(int)c:X4}");
            else quoted.Append(c);
        }
        return quoted.Append('"').ToString();
    }
}
