using System.Text.Json;
using System.Text.Json.Nodes;

namespace LowRank.Models;

/// <summary>
/// Reads rotary settings in both forms that checkpoints have: <c>rope_parameters</c> (transformers 5) and
/// <c>rope_theta</c> with <c>rope_scaling</c> (before).
/// </summary>
internal static class RopeReader
{
    private static readonly string[] Types = ["default", "linear", "dynamic", "llama3", "yarn"];

    public static RopeSettings Read(ConfigReader config, int headDimension, int maxPositions)
    {
        string key = config.Has("rope_parameters") ? "rope_parameters" : "rope_scaling";
        JsonObject parameters = config.Object(key) ?? [];
        double theta = Number(config, key, parameters, "rope_theta") ?? config.NumberOr("rope_theta", 10_000);
        double partial = Number(config, key, parameters, "partial_rotary_factor") ?? config.NumberOr("partial_rotary_factor", 1);
        if (partial != 1) config.Reject("partial_rotary_factor", partial.ToString(), "1");
        if (theta <= 0) config.Reject("rope_theta", theta.ToString(), "a number above zero");

        string type = Text(parameters, "rope_type") ?? Text(parameters, "type") ?? "default";
        if (!Types.Contains(type)) config.Reject($"{key}.rope_type", $"\"{type}\"", string.Join(", ", Types));
        if (headDimension % 2 != 0) config.Reject("head_dim", headDimension.ToString(), "an even number, as rotary positions need");

        var settings = new RopeSettings(type, theta, headDimension, maxPositions);
        if (type == "default") return settings;

        double? factor = Number(config, key, parameters, "factor");
        double? original = Number(config, key, parameters, "original_max_position_embeddings");
        if (factor is null && type == "yarn" && original > 0) factor = maxPositions / original;
        if (factor is null or < 1) config.Reject($"{key}.factor", factor?.ToString() ?? "missing", "a number of at least 1");
        if (type == "llama3" && original is null or <= 0)
            config.Reject($"{key}.original_max_position_embeddings", original?.ToString() ?? "missing", "a positive whole number");

        return settings with
        {
            Factor = factor ?? 1,
            OriginalMaxPositions = (int)(original ?? maxPositions),
            LowFrequencyFactor = Number(config, key, parameters, "low_freq_factor") ?? 1,
            HighFrequencyFactor = Number(config, key, parameters, "high_freq_factor") ?? 4,
            BetaFast = Number(config, key, parameters, "beta_fast") ?? 32,
            BetaSlow = Number(config, key, parameters, "beta_slow") ?? 1,
            AttentionFactor = Number(config, key, parameters, "attention_factor"),
            MScale = Number(config, key, parameters, "mscale"),
            MScaleAllDimensions = Number(config, key, parameters, "mscale_all_dim"),
            Truncate = parameters["truncate"]?.GetValueKind() != JsonValueKind.False,
        };
    }

    private static double? Number(ConfigReader config, string parent, JsonObject parameters, string name)
    {
        if (parameters[name] is not { } node) return null;
        if (node is JsonValue value && value.TryGetValue(out double number) && double.IsFinite(number)) return number;
        config.Reject($"{parent}.{name}", node.ToJsonString(), "a number");
        return null;
    }

    private static string? Text(JsonObject parameters, string name) =>
        parameters[name] is JsonValue value && value.TryGetValue(out string? text) ? text : null;
}
