using System.Text.Json;
using LowRank.Models;

namespace LowRank.Adapters;

/// <summary>PEFT's task types for the heads of models.</summary>
public static class TaskTypes
{
    /// <summary>The task type of a model; null for a masked language model, which PEFT has none for.</summary>
    public static string? Of(INetwork network) => network.HeadKind switch
    {
        HeadKind.SequenceClassification => "SEQ_CLS",
        HeadKind.TokenClassification => "TOKEN_CLS",
        HeadKind.QuestionAnswering => "QUESTION_ANS",
        HeadKind.None => "FEATURE_EXTRACTION",
        _ => network switch { Decoder => "CAUSAL_LM", EncoderDecoder => "SEQ_2_SEQ_LM", _ => null },
    };

    /// <summary>The head of a task type; null where it does not tell.</summary>
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

    /// <summary>A config whose <c>modules_to_save</c> names the task's head too, as PEFT adds it whenever it opens an adapter.</summary>
    public static LoraConfig WithHead(LoraConfig config)
    {
        IReadOnlyList<string> given = config.ModulesToSave ?? [], heads = [.. Heads(config.TaskType).Where(name => !given.Contains(name))];
        return heads.Count == 0 ? config : config with { ModulesToSave = [.. given, .. heads] };
    }

    /// <summary>A config with the model's task type where it names none; and where there is none for it, with the class
    /// that PEFT then loads (auto_mapping).</summary>
    /// <exception cref="InputException">The config's task type is another model's.</exception>
    internal static LoraConfig Fill(LoraConfig config, INetwork network)
    {
        string? type = Of(network);
        if (config.TaskType is { } given && given != type)
            throw new InputException($"task_type: found \"{given}\", but the model was opened with the head {network.HeadKind}, whose task type is {(type is null ? "null" : $"\"{type}\"")}.");
        if (type is not null || config.OtherKeys.ContainsKey("auto_mapping")) return config with { TaskType = type };
        string library = network.Family.ModelType.Replace('-', '_');
        var mapping = new Dictionary<string, string>
        {
            ["base_model_class"] = network.Family.ClassName(network.HeadKind),
            ["parent_library"] = $"transformers.models.{library}.modeling_{library}",
        };
        return config with
        {
            OtherKeys = new Dictionary<string, JsonElement>(config.OtherKeys) { ["auto_mapping"] = JsonSerializer.SerializeToElement(mapping) },
        };
    }
}
