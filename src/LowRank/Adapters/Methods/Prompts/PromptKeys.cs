using LowRank.Adapters.Json;
using LowRank.Models;
using static LowRank.Adapters.Json.JsonShape;

namespace LowRank.Adapters.Methods.Prompts;

/// <summary>What the configs of prompts share (peft/config.py, PromptLearningConfig).</summary>
internal static class PromptKeys
{
    public static IReadOnlyList<LoraConfigKey> Common { get; } =
    [
        .. KindKeys.Common,
        new("modules_to_save", "null", TextList | Null),
        new("num_attention_heads", "null", Integer | Null),
        new("num_layers", "null", Integer | Null),
        new("num_transformer_submodules", "null", Integer | Null),
        new("num_virtual_tokens", "null", Integer | Null),
        new("token_dim", "null", Integer | Null),
    ];

    public static IEnumerable<string> Problems(LoraConfig config)
    {
        if (config.Value("num_virtual_tokens").ValueKind != System.Text.Json.JsonValueKind.Number || config.Whole("num_virtual_tokens") < 1)
            yield return $"num_virtual_tokens: found {config.Value("num_virtual_tokens")}, expected at least 1";
        if (config.Value("num_transformer_submodules") is { ValueKind: System.Text.Json.JsonValueKind.Number } count && count.GetInt32() != 1)
            yield return $"num_transformer_submodules: found {count}, supported is 1: prompts of encoder and decoder both; use LoRA for such a model";
    }

    /// <summary>A config with the model's sizes where it names none.</summary>
    public static LoraConfig Describe(LoraConfig config, int width, int heads, int layers)
    {
        (string Key, object? Value)[] sizes = [("num_attention_heads", heads), ("num_layers", layers), ("num_transformer_submodules", 1), ("token_dim", width)];
        return config with { OtherKeys = OwnKeys.With(config, [.. sizes.Where(size => !config.OtherKeys.ContainsKey(size.Key))]) };
    }

    /// <summary>The model as a decoder that predicts tokens.</summary>
    /// <exception cref="InputException">It is none.</exception>
    public static Decoder RequireDecoder(INetwork network, string label) => network is Decoder { HeadKind: HeadKind.LanguageModel } decoder ? decoder
        : network is Decoder ? throw new InputException($"adapter method {label}: found the head {network.HeadKind}, supported is {HeadKind.LanguageModel} only. Use LoRA for this task.")
        : throw new InputException($"adapter method {label}: the model is a {network.Family.ModelType}, which has no texts to continue; expected a decoder. Use LoRA.");
}
