namespace LowRank.Hub;

/// <summary>Which files of a repository are needed.</summary>
public abstract record HubSelection
{
    /// <summary>The folder of a repository's further chat templates.</summary>
    internal const string ChatTemplates = "additional_chat_templates";

    private const string SentenceModules = "modules.json";

    private HubSelection()
    {
    }

    /// <summary>A model: config, tokenizer, weights.</summary>
    public static HubSelection Model { get; } = new Kind("a model", "config.json", "model", IsModelText);

    /// <summary>An adapter: config, weights, and what is kept beside them.</summary>
    public static HubSelection Adapter { get; } = new Kind("an adapter", "adapter_config.json", "adapter_model", IsAdapterText);

    /// <summary>The needed files: safetensors where there are any, else pickles.</summary>
    /// <param name="repository">For messages.</param>
    /// <param name="files">All files.</param>
    /// <exception cref="InputException">The repository holds no such thing.</exception>
    internal abstract IReadOnlyList<HubFile> Choose(HubRepository repository, IReadOnlyList<HubFile> files);

    private static bool IsModelText(string name) => name is "config.json" or "generation_config.json" or "tokenizer.json" or "tokenizer_config.json"
        or "special_tokens_map.json" or "added_tokens.json" or "vocab.json" or "merges.txt" or "vocab.txt" or "spiece.model" or "sentencepiece.bpe.model"
        or "chat_template.jinja" or "chat_template.json" or "lowrank_task.json" or "lowrank_data.json" || name.EndsWith("tokenizer.model", StringComparison.Ordinal);

    private static bool IsAdapterText(string name) => name is "adapter_config.json" or "lowrank_task.json" or "lowrank_data.json" or "lowrank_base.json" or "chat_template.jinja" or "tokenizer.json"
        or "tokenizer_config.json" or "special_tokens_map.json" or "added_tokens.json";

    private sealed record Kind(string What, string Config, string Weights, Func<string, bool> IsText) : HubSelection
    {
        internal override IReadOnlyList<HubFile> Choose(HubRepository repository, IReadOnlyList<HubFile> files)
        {
            List<HubFile> top = [.. files.Where(file => !file.Path.Contains('/'))];
            if (!top.Exists(file => file.Path == Config))
                throw new InputException($"{repository} holds no {Config}, so it is not {What} that can be used here; it has {string.Join(", ", files.Take(12).Select(file => file.Path))}{(files.Count > 12 ? ", …" : "")}." +
                    (Config == "config.json" && top.Exists(file => file.Path == "adapter_config.json") ? " It is an adapter: give it as --adapter, and its base model as the model." : ""));
            List<HubFile> weights = [.. top.Where(file => IsWeights(file.Path, ".safetensors"))];
            if (weights.Count == 0) weights = [.. top.Where(file => IsWeights(file.Path, ".bin"))];
            if (weights.Count == 0)
                throw new InputException($"{repository} has no weights in a form that can be read: expected {Weights}.safetensors or its shards, found {string.Join(", ", top.Take(20).Select(file => file.Path))}.");
            return [.. top.Where(file => IsText(file.Path) || IsSentenceText(file.Path)), .. files.Where(file => IsTemplate(file.Path)),
                .. top.Exists(file => file.Path == SentenceModules) ? Modules(files) : [], .. weights];
        }

        private static bool IsTemplate(string path) =>
            path.StartsWith(ChatTemplates + "/", StringComparison.Ordinal) && path.EndsWith(".jinja", StringComparison.Ordinal) && path.Count(letter => letter == '/') == 1;

        // Of sentence-transformers: each module has a folder, such as 1_Pooling or 2_Dense.
        private static IEnumerable<HubFile> Modules(IReadOnlyList<HubFile> files) => files.Select(file => (File: file, Parts: file.Path.Split('/')))
            .Where(one => one.Parts.Length == 2 && one.Parts[0].Length > 0 && char.IsAsciiDigit(one.Parts[0][0])).GroupBy(one => one.Parts[0])
            .SelectMany(module => module.Where(one => one.Parts[1] is "config.json" or "model.safetensors"
                || (one.Parts[1] == "pytorch_model.bin" && !module.Any(other => other.Parts[1] == "model.safetensors")))).Select(one => one.File);

        private static bool IsSentenceText(string name) => name is SentenceModules or "config_sentence_transformers.json" or "sentence_bert_config.json";

        // model.safetensors, model-00001-of-00002.safetensors, model.safetensors.index.json; pytorch_model.bin and its shards.
        private bool IsWeights(string name, string extension)
        {
            string stem = extension == ".bin" && Weights == "model" ? "pytorch_model" : Weights;
            if (name == stem + extension) return true;
            if (name == stem + extension + ".index.json") return true;
            return name.StartsWith(stem + "-", StringComparison.Ordinal) && name.EndsWith(extension, StringComparison.Ordinal) && name.Contains("-of-", StringComparison.Ordinal);
        }
    }
}
