using System.Text.RegularExpressions;

namespace LowRank.Hub;

/// <summary>A model repository on the Hugging Face Hub at a revision, as users write it: <c>org/name</c>,
/// <c>org/name@revision</c>.</summary>
/// <param name="Id">The repository, such as <c>openai-community/gpt2</c>.</param>
/// <param name="Revision">A branch, a tag or a commit; <c>main</c> by default.</param>
public sealed partial record HubRepository(string Id, string Revision = HubRepository.DefaultRevision)
{
    /// <summary>The default branch.</summary>
    public const string DefaultRevision = "main";

    /// <summary>The name of the repository's folder in the cache.</summary>
    public string CacheFolderName => "models--" + Id.Replace("/", "--");

    /// <summary>Whether the revision is a commit, which never changes.</summary>
    public bool IsCommit => Commit().IsMatch(Revision);

    /// <summary>Parses a name; null if the text is not one. Most paths are not, because a name has one slash and starts
    /// with a letter or digit.</summary>
    public static HubRepository? TryParse(string text)
    {
        Match match = Name().Match(text);
        if (!match.Success) return null;
        string id = match.Groups["id"].Value, revision = match.Groups["revision"].Success
            ? match.Groups["revision"].Value : DefaultRevision;
        bool isId = !id.Contains("..", StringComparison.Ordinal) && !id.Contains("--", StringComparison.Ordinal)
            && id.Split('/').All(part => part[^1] is not ('.' or '-'));
        return isId && IsReference(revision) ? new HubRepository(id, revision) : null;
    }

    // git's rule for branches and tags, which also keeps a reference within its cache folder.
    private static bool IsReference(string name) => !name.Contains("..", StringComparison.Ordinal)
        && name.Split('/')
        .All(part => part.Length > 0 && part[0] != '.' && part[^1] != '.'
        && !part.EndsWith(".lock", StringComparison.Ordinal));

    /// <inheritdoc/>
    public override string ToString() => Revision == DefaultRevision ? Id : $"{Id}@{Revision}";

    // The Hub's rule for names: letters, digits, "-", "_" and ".", at most 96 characters; no "--" and no "..".
    [GeneratedRegex(@"\A(?<id>[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9_][\w.-]{0,95})(?:@(?<revision>[\w./-]{1,200}))?\z",
        RegexOptions.ExplicitCapture | RegexOptions.ECMAScript)]
    private static partial Regex Name();

    [GeneratedRegex(@"\A[0-9a-f]{40}\z")]
    private static partial Regex Commit();
}

/// <summary>The files of a repository that are needed.</summary>
public abstract record HubSelection
{
    /// <summary>The folder of a repository's additional chat templates.</summary>
    internal const string ChatTemplates = "additional_chat_templates";

    private const string SentenceModules = "modules.json";

    private HubSelection()
    {
    }

    /// <summary>A model: config, tokenizer, weights.</summary>
    public static HubSelection Model { get; } = new Kind("a model", "config.json", "model", IsModelText);

    /// <summary>An adapter: config, weights, and the files saved beside them.</summary>
    public static HubSelection Adapter { get; } =
        new Kind("an adapter", "adapter_config.json", "adapter_model", IsAdapterText);

    /// <summary>The needed files: safetensors if there are any, otherwise pickles.</summary>
    /// <param name="repository">The repository, for messages.</param>
    /// <param name="files">All files.</param>
    /// <exception cref="InputException">The repository does not contain them.</exception>
    internal abstract IReadOnlyList<HubFile> Choose(HubRepository repository, IReadOnlyList<HubFile> files);

    private static bool IsModelText(string name) =>
        name is "config.json" or "generation_config.json" or "tokenizer.json" or "tokenizer_config.json"
        or "special_tokens_map.json" or "added_tokens.json" or "vocab.json" or "merges.txt" or "vocab.txt"
        or "spiece.model" or "sentencepiece.bpe.model"
        or "chat_template.jinja" or "chat_template.json" or "lowrank_task.json" or "lowrank_data.json"
        || name.EndsWith("tokenizer.model", StringComparison.Ordinal);

    private static bool IsAdapterText(string name) =>
        name is "adapter_config.json" or "lowrank_task.json" or "lowrank_data.json" or "lowrank_base.json"
        or "chat_template.jinja" or "tokenizer.json"
        or "tokenizer_config.json" or "special_tokens_map.json" or "added_tokens.json";

    private sealed record Kind(string What, string Config, string Weights, Func<string, bool> IsText) : HubSelection
    {
        internal override IReadOnlyList<HubFile> Choose(HubRepository repository, IReadOnlyList<HubFile> files)
        {
            List<HubFile> top = [.. files.Where(file => !file.Path.Contains('/'))];
            if (!top.Exists(file => file.Path == Config))
                throw new InputException(
                    $"{repository} contains no {Config}, so it is not {What} that can be used here; it contains " +
                    $"{string.Join(", ", files.Take(12).Select(file => file.Path))}{(files.Count > 12 ? ", …" : "")}." +
                    (Config == "config.json" && top.Exists(file => file.Path == "adapter_config.json")
                        ? " It is an adapter: open its base model, and add it as the adapter." : ""));
            List<HubFile> weights = [.. top.Where(file => IsWeights(file.Path, ".safetensors"))];
            if (weights.Count == 0) weights = [.. top.Where(file => IsWeights(file.Path, ".bin"))];
            if (weights.Count == 0)
                throw new InputException(
                    $"{repository} has no weights in a supported format: expected {Weights}.safetensors or " +
                    $"its shards, found {string.Join(", ", top.Take(20).Select(file => file.Path))}.");
            return [.. top.Where(file => IsText(file.Path) || IsSentenceText(file.Path)),
                .. files.Where(file => IsTemplate(file.Path)),
                .. top.Exists(file => file.Path == SentenceModules) ? Modules(files) : [], .. weights];
        }

        private static bool IsTemplate(string path) =>
            path.StartsWith(ChatTemplates + "/", StringComparison.Ordinal)
                && path.EndsWith(".jinja", StringComparison.Ordinal) && path.Count(letter => letter == '/') == 1;

        // sentence-transformers: each module has a folder, such as 1_Pooling or 2_Dense.
        private static IEnumerable<HubFile> Modules(IReadOnlyList<HubFile> files) =>
            files.Select(file => (File: file, Parts: file.Path.Split('/')))
            .Where(one => one.Parts.Length == 2 && one.Parts[0].Length > 0 && char.IsAsciiDigit(one.Parts[0][0]))
            .GroupBy(one => one.Parts[0])
            .SelectMany(module => module.Where(one => one.Parts[1] is "config.json" or "model.safetensors"
                || (one.Parts[1] == "pytorch_model.bin"
                && !module.Any(other => other.Parts[1] == "model.safetensors")))).Select(one => one.File);

        private static bool IsSentenceText(string name) =>
            name is SentenceModules or "config_sentence_transformers.json" or "sentence_bert_config.json";

        // model.safetensors, model-00001-of-00002.safetensors, model.safetensors.index.json; pytorch_model.bin and its
        // shards.
        private bool IsWeights(string name, string extension)
        {
            string stem = extension == ".bin" && Weights == "model" ? "pytorch_model" : Weights;
            if (name == stem + extension) return true;
            if (name == stem + extension + ".index.json") return true;
            return name.StartsWith(stem + "-", StringComparison.Ordinal)
                && name.EndsWith(extension, StringComparison.Ordinal)
                && name.Contains("-of-", StringComparison.Ordinal);
        }
    }
}

/// <summary>The content of a repository at a revision.</summary>
/// <param name="Commit">The commit of the revision.</param>
/// <param name="Files">All its files.</param>
internal sealed record HubSnapshot(string Commit, IReadOnlyList<HubFile> Files);

/// <summary>A file of a repository at a commit.</summary>
/// <param name="Path">Its path in the repository, with slashes.</param>
/// <param name="Size">Size in bytes.</param>
/// <param name="Etag">The name of its content in the cache: the SHA-256 of large files (LFS), git's SHA-1 of
/// others.</param>
internal sealed record HubFile(string Path, long Size, string Etag);

/// <summary>The Hub could not be reached, or its answer was unusable, even after retries.</summary>
/// <param name="message">What was requested, what happened, and what to do.</param>
/// <param name="inner">The last failure; null if there was an answer.</param>
public sealed class HubException(string message, Exception? inner = null) : Exception(message, inner);
