using LowRank.Adapters.Methods;
using LowRank.Tasks;
using System.Globalization;
using System.Text;

namespace LowRank.Recipes;

/// <summary>Writes a recipe as YAML. Keys that cannot take effect (an adapter's with <c>method: full</c>) are left out.</summary>
internal sealed class RecipeWriter
{
    private readonly StringBuilder text = new();

    public static string Write(Recipe recipe)
    {
        var writer = new RecipeWriter();
        writer.Line("", "model", recipe.Model);
        writer.Line("", "task", recipe.Task);
        writer.Task(recipe);
        writer.Line("", "device", recipe.Device);
        writer.Line("", "base_dtype", recipe.BaseDtype);
        writer.Line("", "tf32", recipe.Tf32);
        writer.Data(recipe.Data, recipe.Task == TaskRegistry.Default);
        writer.Adapter(recipe.Adapter, fromFolder: recipe.Training.InitAdapter is not null);
        writer.Training(recipe.Training, recipe.EffectiveLearningRate, recipe.Task == TaskRegistry.Default);
        if (recipe.Comparison is { } comparison) writer.Comparison(comparison);
        writer.Line("", "output", recipe.Output);
        return writer.text.ToString();
    }

    private void Task(Recipe recipe)
    {
        TaskSection o = recipe.TaskOptions;
        (string Key, object? Value)[] all =
        [
            ("labels", o.Labels), ("problem", o.Problem), ("pooling", o.Pooling), ("temperature", o.Temperature), ("mask_share", o.MaskShare),
            ("stride", o.Stride), ("max_answer_tokens", o.MaxAnswerTokens),
        ];
        IReadOnlyList<string> known = TaskRegistry.Get(recipe.Task).Options;
        if (!all.Any(option => known.Contains(option.Key))) return;
        text.Append("task_options:\n");
        foreach ((string key, object? value) in all.Where(option => known.Contains(option.Key))) Line("  ", key, value);
    }

    private void Data(DataSection data, bool predictsTokens)
    {
        text.Append("data:\n");
        Line("  ", "train", data.Train);
        Line("  ", "weights", data.Weights);
        Line("  ", "validation", data.Validation.Count > 0 ? data.Validation : null);
        Line("  ", "validation_share", data.ValidationShare);
        Line("  ", "split_seed", data.ValidationShare > 0 ? data.SplitSeed : null);
        if (predictsTokens) Line("  ", "train_on", data.TrainOn);
        Line("  ", "columns", Map(data.Columns));
        text.Append("  template:\n");
        foreach (string key in RecipeKeys.Sections["data.template"]) Line("    ", key, data.Template.GetValueOrDefault(key));
        Line("  ", "text", data.Text);
        Line("  ", "on_bad_row", data.OnBadRow);
        Line("  ", "deduplicate", data.Deduplicate);
        Line("  ", "cache", data.Cache);
        Line("  ", "streaming", data.Streaming);
        Line("  ", "shuffle_buffer", data.Streaming ? data.ShuffleBuffer : null);
    }

    private void Adapter(AdapterSection a, bool fromFolder)
    {
        text.Append("adapter:\n");
        Line("  ", "method", a.Method);
        if (a.Method == "full" || fromFolder) return;
        IAdapterMethod method = AdapterMethods.Get(a.Method);
        void Key(string key, object? value)
        {
            // Keys without effect would be refused when the recipe is read again.
            if (method.Keys.Contains(key)) Line("  ", key, value);
        }
        Key("rank", a.Rank);
        Key("alpha", a.Alpha);
        Key("dropout", a.Dropout);
        Key("target_modules", (object?)a.TargetModules ?? a.TargetPattern);
        Key("exclude_modules", (object?)a.ExcludeModules ?? a.ExcludePattern);
        Key("bias", a.Bias);
        Key("use_rslora", a.UseRsLora);
        Key("layers_to_transform", a.LayersToTransform);
        Key("layers_pattern", a.LayersPattern);
        Key("rank_pattern", a.RankPattern.ToDictionary(pair => pair.Key, pair => (object)pair.Value));
        Key("alpha_pattern", a.AlphaPattern.ToDictionary(pair => pair.Key, pair => (object)pair.Value));
        Key("init_lora_weights", a.InitLoraWeights);
        Key("modules_to_save", a.ModulesToSave);
        Key("lora_bias", a.LoraBias);
        Key("trainable_token_indices", a.TrainableTokenIndices);
        Key("new_tokens", a.NewTokens);
        if (method.Options.Count == 0) return;
        text.Append("  method_options:\n");
        var options = new MethodOptions(method, a.MethodOptions);
        foreach (MethodOption option in method.Options) Line("    ", option.Name, options.Value(option.Name));
    }

    private void Training(TrainingSection t, double learningRate, bool predictsTokens)
    {
        text.Append("training:\n");
        if (t.Steps is { } steps) Line("  ", "steps", steps);
        else Line("  ", "epochs", t.Epochs);
        Line("  ", "batch_size", t.BatchSize);
        Line("  ", "gradient_accumulation", t.GradientAccumulation);
        if (predictsTokens)
        {
            Line("  ", "packing", t.Packing);
            Line("  ", "share_prompts", t.SharePrompts);
            Line("  ", "batch_tokens", t.BatchTokens);
        }
        Line("  ", "gradient_checkpointing", t.GradientCheckpointing);
        Line("  ", "learning_rate", learningRate);
        Line("  ", "schedule", t.Schedule);
        if (t.WarmupRatio > 0) Line("  ", "warmup_ratio", t.WarmupRatio);
        else Line("  ", "warmup_steps", t.WarmupSteps);
        Line("  ", "weight_decay", t.WeightDecay);
        Line("  ", "beta1", t.Beta1);
        Line("  ", "beta2", t.Beta2);
        Line("  ", "epsilon", t.Epsilon);
        Line("  ", "max_grad_norm", t.MaxGradNorm);
        Line("  ", "max_length", t.MaxLength);
        Line("  ", "shuffle", t.Shuffle);
        Line("  ", "seed", t.Seed);
        Line("  ", "eval_every", t.EvalEvery);
        Line("  ", "eval_batch_size", t.EvalBatchSize);
        Line("  ", "init_adapter", t.InitAdapter);
        Line("  ", "from_scratch", t.FromScratch);
        Line("  ", "save_every", t.SaveEvery);
        Line("  ", "keep_checkpoints", t.KeepCheckpoints);
        Line("  ", "max_skipped_steps", t.MaxSkippedSteps);
        Line("  ", "patience", t.Patience);
        Line("  ", "min_delta", t.MinDelta);
        Line("  ", "max_time", t.MaxTime?.TotalSeconds);
        Line("  ", "max_tokens", t.MaxTokens);
        Line("  ", "threads", t.Threads);
        Line("  ", "tensorboard", t.TensorBoard);
    }

    private void Comparison(ComparisonSection c)
    {
        text.Append("comparison:\n");
        Line("  ", "data", c.Data.Count > 0 ? c.Data : null);
        Line("  ", "generations", c.Generations);
        Line("  ", "facts", c.Facts);
        Line("  ", "references", c.References);
        Line("  ", "max_new_tokens", c.MaxNewTokens);
        Line("  ", "every_evaluation", c.EveryEvaluation);
    }

    private static Dictionary<string, object> Map(IReadOnlyDictionary<string, string> texts) => texts.ToDictionary(pair => pair.Key, pair => (object)pair.Value);

    private void Line(string indent, string key, object? value) => text.Append(indent).Append(key).Append(": ").Append(Value(value)).Append('\n');

    private static string Value(object? value) => value switch
    {
        null => "null",
        bool flag => flag ? "true" : "false",
        double number => Number(number),
        string words => Quoted(words),
        IReadOnlyDictionary<string, object> map => $"{{{string.Join(", ", map.Select(pair => $"{Quoted(pair.Key)}: {Value(pair.Value)}"))}}}",
        System.Collections.IEnumerable list => $"[{string.Join(", ", list.Cast<object>().Select(Value))}]",
        _ => string.Create(CultureInfo.InvariantCulture, $"{value}"),
    };

    // The shortest digits that read back as the same number; with a point, which YAML 1.1 readers want before an exponent.
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
            else if (char.IsControl(c) || c is '\u2028' or '\u2029' or '\uFEFF' or '\uFFFE' or '\uFFFF') quoted.Append($"\\u{(int)c:X4}");
            else quoted.Append(c);
        }
        return quoted.Append('"').ToString();
    }
}
