namespace LowRank.Adapters;

/// <summary>The modules that are adapted where a config names none, by the model's type.</summary>
/// <remarks>PEFT's table (TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING in peft/utils/constants.py). PEFT has no entry
/// for phi3, distilbert, modernbert and qwen3_moe: those are ours.</remarks>
public static class DefaultTargets
{
    private static readonly Dictionary<string, IReadOnlyList<string>> Table = new(
    [
        .. For(["q_proj", "v_proj"], "llama", "mistral", "mixtral", "gemma", "gemma2", "gemma3_text", "qwen2", "qwen3", "opt", "stablelm", "qwen3_moe"),
        .. For(["q_proj", "v_proj", "fc1", "fc2"], "phi"),
        .. For(["qkv_proj"], "phi3"),
        .. For(["c_attn"], "gpt2"),
        .. For(["query_key_value"], "gpt_neox", "bloom", "falcon"),
        .. For(["query", "value"], "bert", "roberta", "xlm-roberta", "electra"),
        .. For(["q_lin", "v_lin"], "distilbert"),
        .. For(["Wqkv"], "modernbert"),
        .. For(["q", "v"], "t5", "mt5"),
    ]);

    /// <summary>The model types that have a default.</summary>
    public static IReadOnlyCollection<string> ModelTypes => Table.Keys;

    /// <summary>The names for a model type (config.json's <c>model_type</c>); null where there is no default.</summary>
    public static IReadOnlyList<string>? Find(string modelType) => Table.GetValueOrDefault(modelType);

    private static IEnumerable<KeyValuePair<string, IReadOnlyList<string>>> For(IReadOnlyList<string> names, params string[] modelTypes) =>
        modelTypes.Select(modelType => KeyValuePair.Create(modelType, names));
}
