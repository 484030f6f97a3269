using System.Text.Json.Nodes;

namespace LowRank.Models;

/// <summary>The <c>quantization_config</c> section of config.json, as transformers and bitsandbytes write it.</summary>
internal static class QuantizationConfig
{
    /// <summary>The section's key.</summary>
    public const string Key = "quantization_config";

    /// <summary>The format that a config requests; null if it requests none or an unsupported one.</summary>
    public static string? Format(JsonObject config)
    {
        if (config[Key] is not JsonObject section || Text(section, "quant_method", "bitsandbytes") != "bitsandbytes")
            return null;
        return Flag(section, "load_in_4bit") ? Text(section, "bnb_4bit_quant_type", "fp4")
            : Flag(section, "load_in_8bit") ? "int8" : null;
    }

    /// <summary>Rejects unsupported settings.</summary>
    internal static void Check(ConfigReader config)
    {
        if (!config.Has(Key)) return;
        if (Format(config.Root) is "nf4" or "int8") return;
        string found = config.Root[Key]!.ToJsonString();
        config.Reject(Key, found.Length > 200 ? found[..200] + "…" : found,
            "bitsandbytes' load_in_4bit with bnb_4bit_quant_type nf4, or load_in_8bit; else give the model's " +
                "original, not quantised folder");
    }

    /// <summary>The section for a format.</summary>
    /// <param name="format">nf4 or int8.</param>
    /// <param name="kept">Paths of the linear layers that are not quantised.</param>
    public static JsonObject Section(string format, IEnumerable<string> kept) => new()
    {
        ["bnb_4bit_compute_dtype"] = "float32",
        ["bnb_4bit_quant_storage"] = "uint8",
        ["bnb_4bit_quant_type"] = format == "nf4" ? "nf4" : "fp4", // the default, without effect in 8 bits
        ["bnb_4bit_use_double_quant"] = format == "nf4",
        ["llm_int8_enable_fp32_cpu_offload"] = false,
        ["llm_int8_has_fp16_weight"] = false,
        ["llm_int8_skip_modules"] = new JsonArray([.. kept.Select(path => JsonValue.Create(path))]),
        ["llm_int8_threshold"] = 6.0,
        ["load_in_4bit"] = format == "nf4",
        ["load_in_8bit"] = format == "int8",
        ["quant_method"] = "bitsandbytes",
    };

    private static string Text(JsonObject section, string key, string otherwise) =>
        section[key] is JsonValue value && value.TryGetValue(out string? text) ? text : otherwise;

    private static bool Flag(JsonObject section, string key) =>
        section[key] is JsonValue value && value.TryGetValue(out bool flag) && flag;
}
