using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.IO;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Models.Sentences;

/// <summary>The sentence-transformers files in a model or adapter folder: <c>modules.json</c>, the folders that it
/// lists, <c>sentence_bert_config.json</c> and <c>config_sentence_transformers.json</c>.</summary>
internal static class SentenceFolder
{
    /// <summary>The file that identifies a sentence-transformers folder.</summary>
    public const string ModulesFile = "modules.json";

    private const string ModelFile = "config_sentence_transformers.json", Classes = "sentence_transformers.models.";
    private const string LengthFile = "sentence_bert_config.json", LengthKey = "max_seq_length",
        LowerCaseKey = "do_lower_case";

    private static readonly JsonSerializerOptions Readable =
        new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    // The names that the class uses, in the order in which it concatenates the vectors of several modes.
    private static readonly (string Name, string Flag, Pooling Mode)[] Modes =
    [
        ("cls", "pooling_mode_cls_token", Pooling.First),
        ("max", "pooling_mode_max_tokens", Pooling.Max),
        ("mean", "pooling_mode_mean_tokens", Pooling.Mean),
        ("mean_sqrt_len_tokens", "pooling_mode_mean_sqrt_len_tokens", Pooling.MeanOfRoot),
        ("weightedmean", "pooling_mode_weightedmean_tokens", Pooling.WeightedMean),
        ("lasttoken", "pooling_mode_lasttoken", Pooling.Last),
    ];

    /// <summary>The names of the pooling modes.</summary>
    public static IReadOnlyList<string> ModeNames { get; } = [.. Modes.Select(mode => mode.Name)];

    /// <summary>The pooling mode with a name, one of <see cref="ModeNames"/>.</summary>
    public static Pooling Mode(string name) => Modes.First(mode => mode.Name == name).Mode;

    /// <summary>The name of a pooling mode.</summary>
    public static string NameOf(Pooling mode) => Modes.First(known => known.Mode == mode).Name;

    /// <summary>The settings in a folder's files; null if it has no <c>modules.json</c>.</summary>
    /// <exception cref="InputException">A file is invalid or asks for something unsupported.</exception>
    public static SentencePipeline? Read(string folder)
    {
        string path = Path.Combine(folder, ModulesFile);
        if (!File.Exists(path)) return null;
        if (Parse(path) is not JsonArray { Count: > 0 } modules)
            throw new InputException($"{path}: expected a list of modules, such as Transformer and Pooling.");
        List<(string Class, string Folder)> found = [.. modules.Select((module, i) => Module(path, folder, module, i))];
        if (found[0].Class != "Transformer")
            throw new InputException(
                $"{path}: the first module is {found[0].Class}, expected Transformer; models of other kinds are " +
                "not supported.");
        if (found[0].Folder != folder)
            throw new InputException(
                $"{path}: the Transformer lies in {found[0].Folder}. Move its files into {folder} and set its path " +
                "to \"\", as sentence-transformers writes it now.");
        if (found.Count < 2 || found[1].Class != "Pooling")
            throw new InputException(
                $"{path}: the second module is {(found.Count < 2 ? "missing" : found[1].Class)}, expected Pooling.");
        return WithSettings(
            folder, Pooled(
                found[1].Folder) with { Layers =
                [.. found.Skip(2).Select(module => Layer(path, module.Class, module.Folder))] });
    }

    /// <summary>Writes the files into a folder in a form that every version of sentence-transformers reads.</summary>
    public static void Save(SentencePipeline pipeline, string folder)
    {
        (string Class, Action<string>? Save)[] modules =
            [("Transformer", null), ("Pooling", into => Write(Path.Combine(into, "config.json"), Describe(pipeline))),
            .. pipeline.Layers.Select(layer => (layer.Name, (Action<string>?)layer.Save))];
        var list = new JsonArray();
        for (int i = 0; i < modules.Length; i++)
        {
            string name = modules[i].Save is null ? "" : $"{i}_{modules[i].Class}";
            list.Add(
                new JsonObject { ["idx"] = i, ["name"] = $"{i}", ["path"] = name,
                ["type"] = Classes + modules[i].Class });
            modules[i].Save?.Invoke(Directory.CreateDirectory(Path.Combine(folder, name)).FullName);
        }
        Write(Path.Combine(folder, ModulesFile), list);
        Write(Path.Combine(folder, LengthFile),
            new JsonObject { [LengthKey] = pipeline.MaxLength, [LowerCaseKey] = pipeline.LowersCase });
        Write(Path.Combine(folder, ModelFile), new JsonObject
        {
            ["prompts"] = new JsonObject(
                pipeline.Prompts.Select(prompt => KeyValuePair.Create(prompt.Key, (JsonNode?)prompt.Value))),
            ["default_prompt_name"] = pipeline.DefaultPrompt,
            ["similarity_fn_name"] = pipeline.Similarity,
        });
    }

    internal static void Write(string path, JsonNode content) =>
        File.WriteAllText(path, content.ToJsonString(Readable) + "\n");

    private static JsonObject Describe(SentencePipeline pipeline)
    {
        var config = new JsonObject { ["word_embedding_dimension"] = pipeline.Width };
        bool isInOrder = pipeline.Modes.SequenceEqual(Modes.Select(mode => mode.Mode).Where(pipeline.Modes.Contains));
        foreach ((string _, string flag, Pooling mode) in isInOrder ? Modes : [])
            config[flag] = pipeline.Modes.Contains(mode);
        if (!isInOrder)
            config["pooling_mode"] = new JsonArray([.. pipeline.Modes.Select(mode => (JsonNode?)NameOf(mode))]);
        config["include_prompt"] = pipeline.IncludesPrompt;
        return config;
    }

    private static (string Class, string Folder) Module(string path, string folder, JsonNode? module, int index)
    {
        if (Text(module, "type") is not { } type || Text(module, "path") is not { } place)
            throw new InputException(
                $"{path}: module {index} is {module?.ToJsonString() ?? "null"}, expected \"path\" and \"type\".");
        string full = Path.GetFullPath(place, Path.GetFullPath(folder));
        if (place.Length > 0
            && !full.StartsWith(
                Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder)) + Path.DirectorySeparatorChar,
                StringComparison.Ordinal))
            throw new InputException(
                $"{path}: the path of module {index} is \"{place}\", which leads out of the folder. Expected a " +
                "folder inside it.");
        return (type[(type.LastIndexOf('.') + 1)..], place.Length == 0 ? folder : full);
    }

    private static SentencePipeline Pooled(string folder)
    {
        string path = Path.Combine(folder, "config.json");
        JsonNode config = Parse(path);
        if ((config["embedding_dimension"] ?? config["word_embedding_dimension"]) is not JsonValue value
            || !value.TryGetValue(out int width))
            throw new InputException($"{path}: expected a number as word_embedding_dimension.");
        string[] names = config["pooling_mode"] switch
        {
            null => [.. Modes.Where(mode => Flag(config, mode.Flag)).Select(mode => mode.Name)],
            JsonArray list => [.. list.Select(one => one?.ToString() ?? "null")],
            var one => [one.ToString()],
        };
        if (names.FirstOrDefault(name => !ModeNames.Contains(name)) is { } unknown)
            throw new InputException(
                $"{path}: pooling_mode is \"{unknown}\", expected one of {string.Join(", ", ModeNames)}.");
        return new SentencePipeline(width, names.Length == 0 ? [Pooling.Mean]
            : [.. names.Select(Mode)], []) { IncludesPrompt = config["include_prompt"] is null
            || Flag(config, "include_prompt") };
    }

    private static ISentenceLayer Layer(string path, string name, string folder)
    {
        if (name == "Normalize") return new NormalizeLayer();
        if (name is not ("Dense" or "LayerNorm"))
            throw new InputException(
                $"{path}: the module {name} is not supported; supported behind Pooling: Dense, LayerNorm, Normalize.");
        string file = Path.Combine(folder, "config.json");
        JsonNode config = Parse(file);
        using var scope = NewDisposeScope();
        using Checkpoint weights = Checkpoint.Open(folder);
        float[]? Read(string tensor) => weights.Entries.ContainsKey(tensor)
            ? weights.Map(tensor).to(ScalarType.Float32).contiguous().data<float>().ToArray() : null;
        float[] Need(string tensor, long[] shape) => weights.Entries.TryGetValue(tensor, out SafeTensorsEntry? entry)
            && entry.Shape.SequenceEqual(shape)
            ? Read(tensor)!
            : throw new InputException(
                $"{folder}: expected a tensor {tensor} of [{string.Join(", ", shape)}], as config.json says.");
        if (name == "LayerNorm")
        {
            long dimension = Size(file, config, "dimension");
            return new SentenceLayerNorm(Need("norm.weight", [dimension]), Need("norm.bias", [dimension]));
        }
        string activation = Text(config, "activation_function") ?? "torch.nn.modules.activation.Tanh";
        if (!DenseLayer.Activations.Contains(activation[(activation.LastIndexOf('.') + 1)..]))
            throw new InputException(
                $"{file}: activation_function is {activation}, expected one of torch.nn's " +
                $"{string.Join(", ", DenseLayer.Activations)}.");
        if (Text(config, "module_input_name") is { } input and not "sentence_embedding")
            throw new InputException(
                $"{file}: module_input_name is {input}; only layers of the pooled vector (sentence_embedding) are " +
                "supported.");
        int inputs = Size(file, config, "in_features"), outputs = Size(file, config, "out_features");
        return new DenseLayer(Need("linear.weight", [outputs, inputs]), config["bias"] is null || Flag(config, "bias")
            ? Need("linear.bias", [outputs]) : null,
            !Flag(config, "use_residual") ? null : inputs == outputs ? [] : Need("residual.weight", [outputs, inputs]),
                activation, inputs);
    }

    private static SentencePipeline WithSettings(string folder, SentencePipeline pipeline)
    {
        JsonNode? length = ParseIfThere(Path.Combine(folder, LengthFile)),
            model = ParseIfThere(Path.Combine(folder, ModelFile));
        if (length?["modality_config"] is JsonObject kinds && !kinds.ContainsKey("text"))
            throw new InputException(
                $"{Path.Combine(folder, LengthFile)}: modality_config takes " +
                $"{string.Join(", ", kinds.Select(kind => kind.Key))}, expected text.");
        var prompts = (model?["prompts"] as JsonObject ?? [])
            .ToDictionary(prompt => prompt.Key, prompt => prompt.Value?.ToString() ?? "");
        string? chosen = Text(model, "default_prompt_name");
        if (chosen is not null && !prompts.ContainsKey(chosen))
            throw new InputException(
                $"{Path.Combine(folder, ModelFile)}: default_prompt_name is \"{chosen}\", expected one of prompts: " +
                $"{string.Join(", ", prompts.Keys)}.");
        // Newer versions store the length with the tokenizer, which contains an absurdly large number if there is none.
        double? longest = Number(length, LengthKey)
            ?? Number(ParseIfThere(Path.Combine(folder, "tokenizer_config.json")), "model_max_length");
        return pipeline with
        {
            MaxLength = longest is >= 2 and <= int.MaxValue ? (int)longest : null,
            LowersCase = length is not null && Flag(length, LowerCaseKey),
            Prompts = prompts,
            DefaultPrompt = chosen,
            Similarity = Text(model, "similarity_fn_name"),
        };
    }

    private static JsonNode? ParseIfThere(string path) => File.Exists(path) ? Parse(path) : null;

    private static JsonNode Parse(string path)
    {
        if (!File.Exists(path))
            throw new InputException($"{path} is missing, which {ModulesFile} of sentence-transformers asks for.");
        string text = SmallFile.ReadText(path);
        try
        {
            return JsonNode.Parse(text) is { } node and (JsonObject or JsonArray) ? node
                : throw new InputException($"{path}: expected a JSON object.");
        }
        catch (JsonException failure)
        {
            throw new InputException($"{path}: {JsonWords.Of(failure, text)}.", failure);
        }
    }

    private static string? Text(JsonNode? node, string key) =>
        (node as JsonObject)?[key] is JsonValue value && value.TryGetValue(out string? text) ? text : null;

    private static double? Number(JsonNode? node, string key) =>
        (node as JsonObject)?[key] is JsonValue value && value.TryGetValue(out double number) ? number : null;

    private static bool Flag(JsonNode node, string key) =>
        (node as JsonObject)?[key] is JsonValue value && value.TryGetValue(out bool flag) && flag;

    private static int Size(string path, JsonNode config, string key) =>
        Number(config, key) is { } size && size >= 1 && size <= 1 << 20 ? (int)size
            : throw new InputException($"{path}: expected a number from 1 as {key}.");
}
