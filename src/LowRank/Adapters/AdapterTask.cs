using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using LowRank.Adapters.Files;
using LowRank.Adapters.Json;
using LowRank.IO;
using LowRank.Models;
using LowRank.Models.Sentences;

namespace LowRank.Adapters;

/// <summary>What an adapter was trained for, beyond PEFT's config: its label names and how texts become answers. Stored
/// in a file next to PEFT's two, which PEFT ignores.</summary>
/// <param name="Task">The recipe's task, such as sequence_classification.</param>
public sealed record AdapterTask(string Task)
{
    private static readonly string[] Outputs = [".classifier.weight", ".score.weight", ".classifier.out_proj.weight"];

    /// <summary>The file's name in an adapter folder.</summary>
    public const string FileName = "lowrank_task.json";

    /// <summary>The labels in the order of their ids; null for tasks without labels.</summary>
    public IReadOnlyList<string>? Labels { get; init; }

    /// <summary>transformers' problem_type: single_label_classification, multi_label_classification or regression; null
    /// for tasks other than sequence_classification.</summary>
    public string? Problem { get; init; }

    /// <summary>How states become an embedding, one of <see cref="SentenceFolder.ModeNames"/>; null for other tasks,
    /// and if <see cref="Sentence"/> uses several pooling modes.</summary>
    public string? Pooling { get; init; }

    /// <summary>The full pipeline from texts to embeddings, written in sentence-transformers' format; null for other
    /// tasks.</summary>
    [JsonIgnore]
    internal SentencePipeline? Sentence { get; init; }

    /// <summary>The longest text in tokens.</summary>
    public int? MaxLength { get; init; }

    /// <summary>Number of tokens that windows of a long text share (question answering); null for other
    /// tasks.</summary>
    public int? Stride { get; init; }

    /// <summary>Reads the file of an adapter folder; null if there is none.</summary>
    /// <exception cref="InputException">The file is invalid.</exception>
    public static AdapterTask? Load(string folder) =>
        SidecarFile.Load<AdapterTask>(folder, FileName, "without label names", Wrong) is not { } task ? null
        : SentenceFolder.Read(folder) is { } sentence ? task with { Sentence = sentence } : task;

    private static string? Wrong(AdapterTask task) =>
        task.MaxLength is < 1 ? $"max_length is {task.MaxLength}, expected at least 1"
        : task.Stride is < 0 ? $"stride is {task.Stride}, expected at least 0"
        : task.Pooling is { } pooling && !SentenceFolder.ModeNames.Contains(pooling)
        ? $"pooling is \"{pooling}\", expected one of {string.Join(", ", SentenceFolder.ModeNames)}"
        : task.Problem is not (null or "single_label_classification" or "multi_label_classification" or "regression")
            ? $"problem is \"{task.Problem}\", expected single_label_classification, multi_label_classification or " +
            "regression"
        : task.Labels is { Count: 0 } ? "labels is an empty list, expected a name for each label" : null;

    /// <summary>Writes the file into a folder, together with sentence-transformers' files.</summary>
    public void Save(string folder)
    {
        SidecarFile.Save(this, folder, FileName);
        if (Sentence is not null) SentenceFolder.Save(Sentence, folder);
    }

    /// <summary>The head that an adapter was trained with, and that its base must be opened with.</summary>
    /// <param name="folder">A PEFT folder.</param>
    /// <returns>Null if the folder does not say, as for a masked language model's adapter without LowRank's own
    /// file.</returns>
    /// <exception cref="InputException">There is no adapter, or its files are invalid.</exception>
    public static HeadRequest? LoadHead(string folder)
    {
        AdapterConfig config = AdapterConfig.Load(folder);
        AdapterTask? task = Load(folder);
        HeadKind? kind = task?.Task == "masked_lm" ? HeadKind.LanguageModel : TaskTypes.Head(config.TaskType);
        if (kind is null && config.OtherKeys.TryGetValue("auto_mapping", out System.Text.Json.JsonElement mapping)
            && mapping.ValueKind == System.Text.Json.JsonValueKind.Object
            && mapping.TryGetProperty("base_model_class", out System.Text.Json.JsonElement name)
            && name.GetString()?.EndsWith("ForMaskedLM", StringComparison.Ordinal) == true) kind =
            HeadKind.LanguageModel;
        if (kind is null) return null;
        if (kind is not (HeadKind.SequenceClassification or HeadKind.TokenClassification))
            return new HeadRequest(kind.Value);
        // The adapter brings the head that it was trained with, even if the base has one for other labels.
        return new HeadRequest(
            kind.Value, task?.Labels?.Count
            ?? (task?.Problem == "regression" ? 1 : Rows(folder))) { Renewal = HeadRenewal.WhereOther };
    }

    // The output layer of a head that is saved whole has one row per label.
    private static int Rows(string folder)
    {
        string path = Adapter.TensorsPath(folder);
        if (!File.Exists(path)) return 2;
        using SafeTensorsFile file = AdapterTensorFile.Load(folder);
        return (int)(file.Entries.Values.FirstOrDefault(
            entry => entry.Shape.Length == 2
            && Outputs.Any(ending => entry.Name.EndsWith(ending, StringComparison.Ordinal)))?.Shape[0] ?? 2);
    }
}

/// <summary>PEFT's task types for model heads.</summary>
internal static class TaskTypes
{
    /// <summary>The task type of a model; null for a masked language model, which PEFT does not cover.</summary>
    public static string? From(INetwork network) => network.HeadKind switch
    {
        HeadKind.SequenceClassification => "SEQ_CLS",
        HeadKind.TokenClassification => "TOKEN_CLS",
        HeadKind.QuestionAnswering => "QUESTION_ANS",
        HeadKind.None => "FEATURE_EXTRACTION",
        _ => network switch { Decoder => "CAUSAL_LM", EncoderDecoder => "SEQ_2_SEQ_LM", _ => null },
    };

    /// <summary>The head for a task type; null if the task type does not determine it.</summary>
    public static HeadKind? Head(string? taskType) => taskType switch
    {
        "SEQ_CLS" => HeadKind.SequenceClassification,
        "TOKEN_CLS" => HeadKind.TokenClassification,
        "QUESTION_ANS" => HeadKind.QuestionAnswering,
        "FEATURE_EXTRACTION" => HeadKind.None,
        "CAUSAL_LM" or "SEQ_2_SEQ_LM" => HeadKind.LanguageModel,
        _ => null,
    };

    /// <summary>The modules that PEFT trains whole for a task type.</summary>
    public static IReadOnlyList<string> Heads(string? taskType) => taskType switch
    {
        "SEQ_CLS" or "TOKEN_CLS" => ["classifier", "score"],
        "QUESTION_ANS" => ["qa_outputs"],
        _ => [],
    };

    /// <summary>A config whose <c>modules_to_save</c> also contains the task head, as PEFT adds it whenever it opens an
    /// adapter.</summary>
    public static AdapterConfig WithHead(AdapterConfig config)
    {
        IReadOnlyList<string> given = config.ModulesToSave
            ?? [], heads = [.. Heads(config.TaskType).Where(name => !given.Contains(name))];
        return heads.Count == 0 ? config : config with { ModulesToSave = [.. given, .. heads] };
    }

    /// <summary>A config with the model's task type if it has none; if there is no task type for the model, with the
    /// class that PEFT then loads (auto_mapping).</summary>
    /// <exception cref="InputException">The config's task type belongs to another kind of model.</exception>
    internal static AdapterConfig Fill(AdapterConfig config, INetwork network)
    {
        string? type = From(network);
        if (config.TaskType is { } given && given != type)
            throw new InputException(
                $"task_type: found \"{given}\", but the model was opened with the head {network.HeadKind}, whose " +
                $"task type is {(type is null ? "null" : $"\"{type}\"")}.");
        if (type is not null || config.OtherKeys.ContainsKey("auto_mapping")) return config with { TaskType = type };
        string library = network.Family.ModelType.Replace('-', '_');
        JsonElement mapping = JsonValues.Map(
            ("base_model_class", JsonValues.Text(network.Family.ClassName(network.HeadKind))),
            ("parent_library", JsonValues.Text($"transformers.models.{library}.modeling_{library}")));
        return config with
        {
            OtherKeys = new Dictionary<string, JsonElement>(config.OtherKeys) { ["auto_mapping"] = mapping },
        };
    }
}

/// <summary>Writes to a config.json what transformers' classes need to load a task head.</summary>
internal static class TaskConfig
{
    /// <summary>Sets <c>architectures</c> and, if the task has them, <c>problem_type</c>, <c>id2label</c> and
    /// <c>label2id</c>.</summary>
    /// <param name="config">The file's keys.</param>
    /// <param name="network">The model with its head.</param>
    /// <param name="task">What the model was trained for; null for a language model.</param>
    public static void Describe(JsonObject config, INetwork network, AdapterTask? task)
    {
        config["architectures"] = new JsonArray(network.Family.ClassName(network.HeadKind));
        if (task is null) return;
        if (task.Problem is { } problem) config["problem_type"] = problem;
        IReadOnlyList<string> labels = task.Labels ?? (task.Problem == "regression" ? ["LABEL_0"] : []);
        if (labels.Count == 0) return;
        config["id2label"] = new JsonObject(labels.Select((label, id) =>
            KeyValuePair.Create(id.ToString(CultureInfo.InvariantCulture), (JsonNode?)label)));
        config["label2id"] = new JsonObject(labels.Select((label, id) => KeyValuePair.Create(label, (JsonNode?)id)));
    }
}
