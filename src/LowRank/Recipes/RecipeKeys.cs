using LowRank.Adapters.Methods;

namespace LowRank.Recipes;

/// <summary>Every key of a recipe, and the one that a wrong key was probably meant to be.</summary>
internal static class RecipeKeys
{
    /// <summary>The keys of each section; those of the recipe itself under the empty name.</summary>
    public static IReadOnlyDictionary<string, IReadOnlyList<string>> Sections { get; } = new Dictionary<string, IReadOnlyList<string>>
    {
        [""] = ["base", "model", "task", "task_options", "device", "base_dtype", "tf32", "data", "adapter", "training", "comparison", "output"],
        ["data"] = ["train", "weights", "validation", "validation_share", "split_seed", "train_on", "columns", "template", "text", "on_bad_row", "deduplicate", "cache", "streaming", "shuffle_buffer"],
        ["data.template"] = ["text", "prompt", "completion", "system", "user", "assistant"],
        ["adapter"] = ["method", "rank", "alpha", "dropout", "target_modules", "exclude_modules", "bias", "use_rslora",
            "layers_to_transform", "layers_pattern", "rank_pattern", "alpha_pattern", "init_lora_weights", "modules_to_save", "lora_bias", "trainable_token_indices", "new_tokens", "method_options"],
        ["adapter.method_options"] = [.. AdapterMethods.All.SelectMany(method => method.Options.Select(option => option.Name)).Distinct()],
        ["training"] = ["epochs", "steps", "batch_size", "gradient_accumulation", "packing", "share_prompts", "batch_tokens", "gradient_checkpointing", "learning_rate", "schedule", "warmup_steps",
            "warmup_ratio", "weight_decay", "beta1", "beta2", "epsilon", "max_grad_norm", "max_length", "shuffle", "seed",
            "eval_every", "eval_batch_size", "init_adapter", "from_scratch", "save_every", "keep_checkpoints",
            "max_skipped_steps", "patience", "min_delta", "max_time", "max_tokens", "threads", "tensorboard"],
        ["task_options"] = ["labels", "problem", "pooling", "temperature", "mask_share", "stride", "max_answer_tokens"],
        ["comparison"] = ["data", "generations", "facts", "references", "max_new_tokens", "every_evaluation"],
    };

    /// <summary>What to do about an unknown key: the nearest known one of its section, else of another section, else a list.</summary>
    public static string Advice(string section, string key)
    {
        if (Nearest(Sections[section], key) is { } here) return $"did you mean {Full(section, here)}?";
        foreach ((string other, IReadOnlyList<string> keys) in Sections)
            if (other != section && Nearest(keys, key) is { } there) return $"did you mean {Full(other, there)}?";
        return $"known here: {string.Join(", ", Sections[section])}";
    }

    /// <summary>A key with its section before it.</summary>
    public static string Full(string section, string key) => section.Length == 0 ? key : $"{section}.{key}";

    private static string? Nearest(IReadOnlyList<string> known, string key)
    {
        if (key.Length > 64) return null; // no key is that long, and the distance takes time with the length
        string plain = Plain(key);
        string nearest = known.MinBy(candidate => Distance(Plain(candidate), plain))!;
        // A third of the letters may be wrong: more is a different word, and a wrong guess helps less than the list.
        return Distance(Plain(nearest), plain) <= plain.Length / 3 ? nearest : null;
    }

    // learningRate, learning-rate and learning_rate are the same word.
    private static string Plain(string key) => key.Replace("_", "").Replace("-", "").ToLowerInvariant();

    // Levenshtein's distance, with two neighbours that changed places as one error (optimal string alignment).
    private static int Distance(string a, string b)
    {
        var table = new int[a.Length + 1, b.Length + 1];
        for (int i = 0; i <= a.Length; i++) table[i, 0] = i;
        for (int j = 0; j <= b.Length; j++) table[0, j] = j;
        for (int i = 1; i <= a.Length; i++)
            for (int j = 1; j <= b.Length; j++)
            {
                int change = table[i - 1, j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
                table[i, j] = Math.Min(Math.Min(table[i - 1, j], table[i, j - 1]) + 1, change);
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) table[i, j] = Math.Min(table[i, j], table[i - 2, j - 2] + 1);
            }
        return table[a.Length, b.Length];
    }
}
