using System.Text.Json;
using LowRank.Adapters.Json;
using LowRank.Adapters.Methods.Lora.Starts;
using static LowRank.Adapters.Json.JsonShape;

namespace LowRank.Adapters;

/// <summary>The keys of a LoRA config as PEFT 0.20.1 writes them (peft/tuners/lora/config.py, peft/config.py).</summary>
/// <remarks>A method that becomes available widens or drops the limit of its key here; nothing else decides what is
/// refused.</remarks>
internal static class LoraConfigKeys
{
    private const string Merge = "merge that adapter in PEFT and load the merged model instead";

    /// <summary>All keys, in ordinal order.</summary>
    public static IReadOnlyList<LoraConfigKey> All { get; } =
    [
        new("alora_invocation_tokens", "null", IntegerList | Null, OnlyNull("activated LoRA (aLoRA)", "train the adapter without it")),
        new("alpha_pattern", "{}", NumberMap | Null),
        new("arrow_config", "null", Map | Null, OnlyNull("Arrow routing between adapters", "load one of the adapters alone")),
        new("auto_mapping", "null", Map | Null),
        new("base_model_name_or_path", "null", Text | Null),
        new("bias", "\"none\"", Text),
        new("corda_config", "null", Map | Null),
        new("ensure_weight_tying", "false", JsonShape.Boolean),
        new("eva_config", "null", Map | Null),
        new("exclude_modules", "null", Text | TextList | Null),
        new("fan_in_fan_out", "false", JsonShape.Boolean),
        new("inference_mode", "true", JsonShape.Boolean),
        new("init_lora_weights", "true", JsonShape.Boolean | Text | Null, new(
            SupportsInitialisation,
            LoraStarts.Names,
            "for a new adapter choose one of these; an adapter that took a part of the base away that cannot be found again (corda, "
            + "loftq, lora_ga, pissa_niter_N) has to be saved by PEFT with path_initial_model_for_weight_conversion first; where loftq's base is "
            + "at hand, quantised as it was then, set true")),
        new("kasa_config", "null", Map | Null, OnlyNull("KaSA, which changes the base", Merge)),
        new("layer_replication", "null", List | Null, OnlyNull("repeated layers", Merge)),
        new("layers_pattern", "null", Text | TextList | Null),
        new("layers_to_transform", "null", Integer | IntegerList | Null),
        new("loftq_config", "{}", Map | Null, new(
            (value, use) => use == AdapterUse.Load || IsEmpty(value), "{}", "settings of LoftQ's quantisation; here the base is opened quantised, and init_lora_weights \"loftq\" takes it as it is")),
        new("lora_alpha", "8", Number),
        new("lora_bias", "false", JsonShape.Boolean),
        new("lora_dropout", "0.0", Number),
        new("lora_ga_config", "null", Map | Null),
        new("megatron_config", "null", Map | Null, OnlyNull("Megatron's parallel layers", "save the adapter for a plain model")),
        new("megatron_core", "\"megatron.core\"", Text | Null),
        new("modules_to_save", "null", TextList | Null),
        new("monteclora_config", "null", Map | Null, OnlyNull("MonteCLoRA's sampled weights", Merge)),
        new("peft_type", "\"LORA\"", Text),
        new("peft_version", "null", Text | Null),
        new("qalora_group_size", "16", Integer),
        new("r", "8", Integer),
        new("rank_pattern", "{}", IntegerMap | Null),
        new("revision", "null", Text | Null),
        new("target_modules", "null", Text | TextList | Null),
        new("target_parameters", "null", TextList | Null, new(
            (value, _) => IsEmpty(value), "null", "adapters on bare parameters (mixture-of-experts weights); use target_modules")),
        new("task_type", "null", Text | Null),
        new("trainable_token_indices", "null", IntegerList | Map | Null),
        new("use_bdlora", "null", Map | Null, OnlyNull("block-diagonal LoRA", Merge)),
        new("use_dora", "false", JsonShape.Boolean),
        new("use_qalora", "false", JsonShape.Boolean, OnlyFalse("QALoRA on a GPTQ base", "train the adapter without it")),
        new("use_rslora", "false", JsonShape.Boolean),
        new("velora_config", "null", Map | Null, new(
            (value, use) => use == AdapterUse.Load || value.ValueKind == JsonValueKind.Null, "null", "VeLoRA's compressed backward pass; set it to null")),
    ];

    /// <summary>The keys by name.</summary>
    public static IReadOnlyDictionary<string, LoraConfigKey> ByName { get; } = All.ToDictionary(key => key.Name);

    private static bool SupportsInitialisation(JsonElement value, AdapterUse use) => value.ValueKind switch
    {
        JsonValueKind.True or JsonValueKind.False => true,
        JsonValueKind.Null => use == AdapterUse.Load,
        _ => LoraStarts.Supports(value.GetString()!.ToLowerInvariant(), use) || (use == AdapterUse.Load && value.GetString() == "mica"),
    };

    private static LoraConfigKeyLimit OnlyNull(string what, string advice) =>
        new((value, _) => value.ValueKind == JsonValueKind.Null, "null", $"it asks for {what}; {advice}");

    private static LoraConfigKeyLimit OnlyFalse(string what, string advice) =>
        new((value, _) => value.ValueKind == JsonValueKind.False, "false", $"it asks for {what}; {advice}");

    private static bool IsEmpty(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null => true,
        JsonValueKind.Array => value.GetArrayLength() == 0,
        JsonValueKind.Object => value.GetPropertyCount() == 0,
        _ => false,
    };
}
