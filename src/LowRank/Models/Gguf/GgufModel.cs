using LowRank.IO;
using LowRank.IO.Gguf;
using LowRank.Models.Sentences;
using LowRank.Quantization;
using LowRank.Tokenizers;
using LowRank.Tokenizers.Exchange;
using static TorchSharp.torch;

namespace LowRank.Models.Gguf;

/// <summary>Writes Hugging Face models as GGUF files, for llama.cpp, Ollama, LM Studio and LLamaSharp.</summary>
public static class GgufModel
{
    /// <summary>The types of files: f32, f16, bf16, q8_0, q4_0, and llama-quantize's mixtures q4_k_m and
    /// q6_k.</summary>
    public static IReadOnlyList<string> Types => GgufMixture.Names;

    /// <summary>Writes a model folder, a tensor at a time: at most one is in memory.</summary>
    /// <param name="folder">The folder: config, weights, tokenizer.</param>
    /// <param name="target">The file to write.</param>
    /// <param name="type">One of <see cref="Types"/>.</param>
    /// <returns>What the user should know, one sentence each.</returns>
    /// <exception cref="InputException">llama.cpp does not know the model, one of its settings or its tokenizer, or the
    /// weights do not fit config.json; the message lists all problems.</exception>
    /// <exception cref="NonFiniteException">A weight is not finite, or its type cannot hold it.</exception>
    public static IReadOnlyList<string> Write(string folder, string target, string type) =>
        Write(new GgufFolder(folder, folder), target, type);

    /// <summary>Writes a model folder with the tokenizer of another.</summary>
    internal static IReadOnlyList<string> Write(GgufFolder files, string target, string type)
    {
        string folder = files.Name;
        ConfigReader config = ConfigReader.Open(Path.Combine(folder, "config.json"));
        GgufArchitecture architecture = GgufArchitecture.From(config);
        Kernels.Native.NativeRuntime.Initialize();
        using Checkpoint checkpoint = Checkpoint.Open(folder);
        return Write(files with { Sentence = SentenceFolder.Read(folder) }, target, type, config, architecture,
            StoredWeights(checkpoint, folder, architecture));
    }

    /// <summary>Writes a model with given weights.</summary>
    /// <param name="folder">The model's folder.</param>
    /// <param name="target">The file to write.</param>
    /// <param name="type">One of <see cref="Types"/>.</param>
    /// <param name="config">The model's config.</param>
    /// <param name="architecture">What llama.cpp calls it.</param>
    /// <param name="weights">The weights by checkpoint name, each given when it is written.</param>
    internal static IReadOnlyList<string> Write(
        GgufFolder folder, string target, string type, ConfigReader config, GgufArchitecture architecture,
        IReadOnlyDictionary<string, LazyWeight> weights)
    {
        IReadOnlyList<(GgufWeight Written, IReadOnlyList<LazyWeight> Sources)> parts =
            Parts(folder.Name, architecture, weights);
        string[] names = [.. parts.Select(part => part.Written.Name), .. architecture.Extra.Select(each => each.Name)];
        var mixture = new GgufMixture(type, architecture, names);
        GgufMetadata metadata = new GgufMetadata().Set("general.architecture", architecture.Name)
            .Set("general.type", "model")
            .Set("general.name", Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder.Name))))
            .Set("general.file_type", mixture.Code).Set("general.quantization_version", 2u);
        foreach ((string key, object value) in architecture.Keys.Values) metadata.Set(key, value);
        int rows = (int)weights[parts[0].Written.Sources[0]].Shape[0];
        if (architecture.Keys.Has(architecture.Name + ".vocab_size"))
            metadata.Set(architecture.Name + ".vocab_size", (uint)rows);
        var notes = new List<string>(architecture.Notes);
        AddTokenizer(metadata, folder.Tokenizer, config, rows, notes);
        if (folder.Sentence is { } sentence) AddPooling(metadata, architecture.Name, sentence, notes);
        GgufWriter.Write(target, metadata,
            [
                .. architecture.Extra.Select(each => new GgufSource(
                    each.Name, [each.Values.Length], GgufType.F32, () => tensor(each.Values))),
                .. parts.Select(part => Source(part.Written, part.Sources, mixture)),
            ]);
        return notes;
    }

    private static Dictionary<string, LazyWeight> StoredWeights(
        Checkpoint checkpoint, string folder, GgufArchitecture architecture)
    {
        var stored = new CheckpointWeights(checkpoint, folder);
        return Named(stored.Names.Select(name => KeyValuePair.Create(name, stored.Quantized(name) is { } packed
            ? Expanded(packed, name, architecture)
            : new LazyWeight(
                checkpoint.Entries[name].Shape, checkpoint.Entries[name].Type, () => checkpoint.Map(name))
            {
                Release = () => checkpoint.Release(name),
            })), architecture);
    }

    /// <summary>A checkpoint's weights by the names that a model with a head has: those of a bare model lack its
    /// prefix, and old ones call a norm's weight and bias gamma and beta.</summary>
    internal static Dictionary<string, LazyWeight> Named(
        IEnumerable<KeyValuePair<string, LazyWeight>> stored, GgufArchitecture architecture)
    {
        KeyValuePair<string, LazyWeight>[] all = [.. stored];
        HashSet<string> known = [.. architecture.Weights.SelectMany(weight => weight.Sources)];
        bool isBare = !all.Any(weight => weight.Key.StartsWith(architecture.BasePrefix, StringComparison.Ordinal));
        return all.ToDictionary(weight => FullName(weight.Key), weight => weight.Value);

        string FullName(string name)
        {
            if (name.EndsWith(".gamma", StringComparison.Ordinal)) name = name[..^"gamma".Length] + "weight";
            if (name.EndsWith(".beta", StringComparison.Ordinal)) name = name[..^"beta".Length] + "bias";
            return isBare && !known.Contains(name) ? architecture.BasePrefix + name : name;
        }
    }

    // A packed weight is [out, in] even where the checkpoint's own weights are not.
    private static LazyWeight Expanded(StoredMatrix packed, string name, GgufArchitecture architecture)
    {
        bool isTransposed = architecture.Weights.FirstOrDefault(weight => weight.Sources.Any(
            source => source == name || source == architecture.BasePrefix + name))?.Form.IsTransposed == true;
        long[] shape = isTransposed ? [packed.Columns, packed.Rows] : [packed.Rows, packed.Columns];
        return new LazyWeight(shape, ScalarType.Float32, () =>
        {
            using PackedWeight weight = packed.Open(ExpansionBuffer.ForModel());
            Tensor wide = weight.Expand();
            return isTransposed ? wide.t().contiguous() : wide;
        });
    }

    private static List<(GgufWeight Written, IReadOnlyList<LazyWeight> Sources)> Parts(
        string folder, GgufArchitecture architecture, IReadOnlyDictionary<string, LazyWeight> weights)
    {
        var parts = new List<(GgufWeight, IReadOnlyList<LazyWeight>)>();
        var problems = new List<string>();
        HashSet<string> taken = [];
        foreach (GgufWeight weight in architecture.Weights)
        {
            string[] missing = [.. weight.Sources.Where(name => !weights.ContainsKey(name))];
            taken.UnionWith(weight.Sources);
            if (missing.Length > 0)
            {
                if (!weight.IsOptional) problems.AddRange(missing.Take(3).Select(name => $"missing: {name}"));
                continue;
            }
            if (weight.Name != "output.weight") parts.Add((weight, [.. weight.Sources.Select(name => weights[name])]));
        }
        problems.AddRange(weights.Keys.Where(name => !taken.Contains(name) && !architecture.IsIgnorable(name)).Take(20)
            .Select(name => $"unexpected: {name}"));
        if (Head(architecture, weights) is { } head)
        {
            if (!architecture.HasHead)
                problems.Add($"{architecture.HeadName} is an own weight: llama.cpp's {architecture.Name} computes " +
                    "with the embedding's");
            else parts.Add((architecture.Weights.First(weight => weight.Name == "output.weight"), [head]));
        }
        if (problems.Count > 0)
            throw new InputException($"{folder} cannot be written as GGUF's {architecture.Name}:", problems);
        return parts;
    }

    // The head's own weight; null if it shares the embedding's.
    private static LazyWeight? Head(GgufArchitecture architecture, IReadOnlyDictionary<string, LazyWeight> weights)
    {
        if (architecture.HeadName is null) return null;
        LazyWeight table = weights[architecture.EmbeddingName];
        if (!weights.TryGetValue(architecture.HeadName, out LazyWeight? head) || IsSame(architecture, head, table))
            return architecture.RepeatsTiedHead ? table : null;
        return head;
    }

    // As in transformers, a head's own weight overrides what the config says about sharing.
    private static bool IsSame(GgufArchitecture architecture, LazyWeight head, LazyWeight table)
    {
        if (!architecture.TiesHead || !head.Shape.SequenceEqual(table.Shape)) return false;
        using var scope = NewDisposeScope();
        return WeightLoader.AreEqual(head.Read(), table.Read());
    }

    private static GgufSource Source(GgufWeight written, IReadOnlyList<LazyWeight> sources, GgufMixture mixture)
    {
        long[] own = written.Form.ShapeInGguf(sources[0].Shape),
            shape = written.IsStacked ? [sources.Count, .. own] : own;
        return new GgufSource(
            written.Name, shape, mixture.TypeOf(written.Name, shape),
            () => written.IsStacked ? stack(sources.Select(source => written.Form.ToGguf(source.Read())))
                : written.Form.ToGguf(sources[0].Read()))
        {
            Release = () =>
            {
                foreach (LazyWeight source in sources) source.Release?.Invoke();
            },
        };
    }

    // How the states of a text's tokens become its vector. llama.cpp divides vectors by their length unless asked not
    // to.
    private static void AddPooling(
        GgufMetadata metadata, string architecture, SentencePipeline sentence, List<string> notes)
    {
        uint? pooling = sentence.Modes is [var only]
            ? only switch { Pooling.Mean => 1u, Pooling.First => 2u, Pooling.Last => 3u, _ => null } : null;
        string[] others = [.. sentence.Layers.Select(layer => layer.Name).Where(name => name != "Normalize")];
        if (pooling is null || others.Length > 0 || !sentence.IncludesPrompt || sentence.LowersCase)
            notes.Add(
                "llama.cpp computes the states of this embedder's tokens, but not its vectors, of which the file " +
                "says nothing: it has the poolings mean, cls and last, without " +
                $"{(others.Length > 0 ? $"{string.Join(", ", others)} after them"
                    : "leaving out prompts or changing texts before")}.");
        else metadata.Set(architecture + ".pooling_type", pooling);
        if (sentence.DefaultPrompt is { } prompt && sentence.Prompts.TryGetValue(prompt, out string? text))
            notes.Add(
                $"The embedder's vectors are those of texts after its prompt, which llama.cpp does not add: {text}");
    }

    private static void AddTokenizer(
        GgufMetadata metadata, string folder, ConfigReader config, int rows, List<string> notes)
    {
        if (!Tokenizer.IsPresent(folder))
        {
            metadata.Set("tokenizer.ggml.model", "none");
            notes.Add($"{folder} has no tokenizer, so the file has none: it takes and gives numbers of tokens alone.");
            return;
        }
        int? end = config.TokenIds("eos_token_id") is [var first, ..] ? first : null;
        GgufVocabulary vocabulary = GgufVocabulary.Read(folder, rows, end);
        notes.AddRange(vocabulary.Notes);
        metadata.Set("tokenizer.ggml.model", vocabulary.Model).Set("tokenizer.ggml.pre", vocabulary.Pre)
            .Set("tokenizer.ggml.tokens", vocabulary.Tokens.ToArray())
            .Set("tokenizer.ggml.scores", vocabulary.Scores?.ToArray())
            .Set("tokenizer.ggml.token_type", vocabulary.Types.ToArray())
            .Set("tokenizer.ggml.merges", vocabulary.Merges?.ToArray());
        foreach ((string key, object value) in vocabulary.Settings) metadata.Set("tokenizer.ggml." + key, value);
        if (vocabulary.Model == "bert" || metadata.Text("general.architecture") == "bert")
            metadata.Set("tokenizer.ggml.token_type_count", (uint)config.PositiveOr("type_vocab_size", 1));
        IReadOnlyDictionary<string, string> templates = Tokenizer.Load(folder).ChatTemplates;
        metadata.Set("tokenizer.chat_template", templates.GetValueOrDefault(ChatTemplateFiles.Default));
        string[] others = [.. templates.Keys.Where(name => name != ChatTemplateFiles.Default)];
        foreach (string name in others) metadata.Set("tokenizer.chat_template." + name, templates[name]);
        if (others.Length > 0) metadata.Set("tokenizer.chat_templates", others);
    }
}

/// <summary>Where a model's files are.</summary>
/// <param name="Tokenizer">The folder with its tokenizer.</param>
/// <param name="Name">The folder that names it, also in messages.</param>
internal sealed record GgufFolder(string Tokenizer, string Name)
{
    /// <summary>How an embedder's states become vectors; null for other models.</summary>
    public SentencePipeline? Sentence { get; init; }
}
