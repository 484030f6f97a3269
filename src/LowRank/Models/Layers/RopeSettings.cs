using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace LowRank.Models;

/// <summary>How rotary position embeddings derive their frequencies (RoFormer, arXiv 2104.09864, and its
/// extensions).</summary>
/// <param name="Type">default, linear, dynamic, llama3, yarn or longrope.</param>
/// <param name="Theta">The base of the frequencies; 10,000 by default.</param>
/// <param name="Dimension">Number of values of a head that are rotated (even).</param>
/// <param name="MaxPositions">The model's max_position_embeddings.</param>
public sealed record RopeSettings(string Type, double Theta, int Dimension, int MaxPositions)
{
    /// <summary>The ratio of the extended to the original context length; for every type except default.</summary>
    public double Factor { get; init; } = 1;

    /// <summary>The context length before extension; for llama3, yarn and longrope.</summary>
    public int OriginalMaxPositions { get; init; }

    /// <summary>llama3: wavelengths above original length / this value are fully stretched.</summary>
    public double LowFrequencyFactor { get; init; } = 1;

    /// <summary>llama3: wavelengths below original length / this value are unchanged.</summary>
    public double HighFrequencyFactor { get; init; } = 4;

    /// <summary>yarn: number of rotations above which a dimension is extrapolated (YaRN, arXiv 2309.00071, section
    /// 3.2).</summary>
    public double BetaFast { get; init; } = 32;

    /// <summary>yarn: number of rotations below which a dimension is interpolated.</summary>
    public double BetaSlow { get; init; } = 1;

    /// <summary>longrope: the stretch of each frequency up to the original length.</summary>
    public IReadOnlyList<double> ShortFactors { get; init; } = [];

    /// <summary>longrope: the stretch of each frequency beyond the original length.</summary>
    public IReadOnlyList<double> LongFactors { get; init; } = [];

    /// <summary>The factor on cosine and sine; null means 0.1·ln(factor) + 1 (yarn) or √(1 + ln(factor)/ln(original
    /// length)) (longrope).</summary>
    public double? AttentionFactor { get; init; }

    /// <summary>yarn: the scale in the numerator of the attention factor, as in DeepSeek's checkpoints.</summary>
    public double? MScale { get; init; }

    /// <summary>yarn: the scale in the denominator of the attention factor.</summary>
    public double? MScaleAllDimensions { get; init; }

    /// <summary>yarn: whether the correction range is rounded to whole dimensions.</summary>
    public bool Truncate { get; init; } = true;

    /// <summary>Whether a rotated pair is (2i, 2i + 1), as in GPT-J, instead of (i, i + dimension / 2).</summary>
    public bool IsInterleaved { get; init; }

    /// <summary>β of the queries' factor 1 + β·ln(1 + ⌊position / original length⌋) (Ministral 3); 0 for
    /// none.</summary>
    public double QueryScaleBeta { get; init; }

    /// <summary>The length beyond which every position rotates differently, so that previously cached keys do not match
    /// new ones; null if that never happens.</summary>
    public int? TurnsAnewBeyond => Type == "longrope" ? OriginalMaxPositions : null;

    /// <summary>The length beyond which the rotation depends on the length of the longest text that is computed; null
    /// if that never happens.</summary>
    internal int? DependsOnLengthBeyond => Type == "dynamic" ? MaxPositions : TurnsAnewBeyond;
}

/// <summary>Reads rotary settings in both forms found in checkpoints: <c>rope_parameters</c> (transformers 5) and
/// <c>rope_theta</c> with <c>rope_scaling</c> (earlier).</summary>
internal static class RopeReader
{
    private const double MostTheta = 1e30; // beyond it, powers of it are no float32 numbers

    private static readonly string[] Types = ["default", "linear", "dynamic", "llama3", "yarn", "longrope"];

    /// <summary>Reads the settings of a model with the same rotation in all layers.</summary>
    /// <param name="config">The config.</param>
    /// <param name="headDimension">Width of a head.</param>
    /// <param name="maxPositions">The model's max_position_embeddings.</param>
    /// <param name="defaults">The family's key names and default values.</param>
    public static RopeSettings Read(
        ConfigReader config, int headDimension, int maxPositions, RopeDefaults? defaults = null)
    {
        string key = config.Has("rope_parameters") ? "rope_parameters" : "rope_scaling";
        return Read(config, key, config.Object(key) ?? [], headDimension, maxPositions, defaults ?? new RopeDefaults());
    }

    /// <summary>Reads the settings of one of two kinds of layers: the object with its name under
    /// <c>rope_parameters</c>, or the older keys in <paramref name="defaults"/>.</summary>
    public static RopeSettings Read(
        ConfigReader config, string layerType, int headDimension, int maxPositions, bool scales, RopeDefaults defaults)
    {
        if (config.Object("rope_parameters")?[layerType] is JsonObject given)
            return Read(config, $"rope_parameters.{layerType}", given, headDimension, maxPositions, defaults);
        return Read(config, "rope_scaling", (scales ? config.Object("rope_scaling") : null)
            ?? [], headDimension, maxPositions, defaults);
    }

    private static RopeSettings Read(
        ConfigReader config, string key, JsonObject parameters, int headDimension, int maxPositions,
        RopeDefaults defaults)
    {
        double theta = config.NumberOr(defaults.ThetaKey, defaults.Theta),
            partial = config.NumberOr(defaults.PartialKey, defaults.Partial);
        theta = Number(config, key, parameters, "rope_theta") ?? theta;
        partial = Number(config, key, parameters, "partial_rotary_factor") ?? partial;
        if (partial is not (> 0 and <= 1))
            config.Reject(defaults.PartialKey, partial, "a number above 0 and at most 1");
        if (theta is not (> 0 and <= MostTheta))
            config.Reject("rope_theta", theta, $"a number above 0 and at most {MostTheta}");

        string type = Text(parameters, "rope_type") ?? Text(parameters, "type") ?? "default";
        if (type == "su") type = "longrope"; // its first name
        if (!Types.Contains(type)) config.Reject($"{key}.rope_type", $"\"{type}\"", string.Join(", ", Types));
        // As in transformers 5.12: families without partial rotation ignore the factor, and fail if positions are also
        // stretched.
        if (!defaults.IsPartial && partial is > 0 and < 1)
        {
            if (type != "default")
                config.Reject(
                    $"{key}.partial_rotary_factor", partial,
                    $"1 (or none) beside rope_type \"{type}\": {config.ModelType} rotates whole heads");
            partial = 1;
        }
        int dimension = (int)(headDimension * Math.Clamp(partial, 0, 1));
        if (dimension == 0 || dimension % 2 != 0)
            config.Reject(
                "head_dim", headDimension, "an even number of rotated values, as rotary positions need");

        var settings = new RopeSettings(type, theta, dimension, maxPositions)
        {
            IsInterleaved = defaults.IsInterleaved,
            QueryScaleBeta =
                defaults.ScalesQueries ? Number(config, key, parameters, "llama_4_scaling_beta") ?? 0 : 0,
        };
        return type == "default" ? settings : Scaled(config, key, parameters, settings);
    }

    private static RopeSettings Scaled(ConfigReader config, string key, JsonObject parameters, RopeSettings settings)
    {
        string type = settings.Type;
        double? factor = Number(config, key, parameters, "factor");
        double? original = Number(config, key, parameters, "original_max_position_embeddings");
        if (type == "longrope" && original is null && config.Has("original_max_position_embeddings"))
            original = config.NumberOr("original_max_position_embeddings", settings.MaxPositions);
        if (factor is null && type is "yarn" or "longrope" && original > 0) factor = settings.MaxPositions / original;
        if (type != "longrope" && factor is null or < 1)
            config.Reject(
                $"{key}.factor", factor?.ToString(CultureInfo.InvariantCulture) ?? "missing", "a number of at least 1");
        if (type is "llama3" or "longrope" && original is null or <= 0)
            config.Reject(
                $"{key}.original_max_position_embeddings", original?.ToString(CultureInfo.InvariantCulture)
                ?? "missing", "a positive whole number");

        return settings with
        {
            Factor = factor ?? 1,
            OriginalMaxPositions = (int)(original ?? settings.MaxPositions),
            LowFrequencyFactor = Number(config, key, parameters, "low_freq_factor") ?? 1,
            HighFrequencyFactor = Number(config, key, parameters, "high_freq_factor") ?? 4,
            BetaFast = Number(config, key, parameters, "beta_fast") ?? 32,
            BetaSlow = Number(config, key, parameters, "beta_slow") ?? 1,
            AttentionFactor = Number(config, key, parameters, "attention_factor"),
            MScale = Number(config, key, parameters, "mscale"),
            MScaleAllDimensions = Number(config, key, parameters, "mscale_all_dim"),
            Truncate = parameters["truncate"]?.GetValueKind() != JsonValueKind.False,
            ShortFactors = type == "longrope"
            ? Numbers(config, key, parameters, "short_factor", settings.Dimension / 2) : [],
            LongFactors = type == "longrope"
            ? Numbers(config, key, parameters, "long_factor", settings.Dimension / 2) : [],
        };
    }

    private static double[] Numbers(ConfigReader config, string parent, JsonObject parameters, string name, int count)
    {
        if (parameters[name] is JsonArray list && list.Count == count
            && list.All(item => item is JsonValue value && value.TryGetValue(out double _)))
            return [.. list.Select(item => item!.GetValue<double>())];
        config.Reject($"{parent}.{name}", parameters[name]?.ToJsonString()
            ?? "missing", $"a list of {count} numbers, half the rotated values of a head");
        return [.. Enumerable.Repeat(1.0, count)];
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

/// <summary>The names of the rotary keys in a family's configs, and their default values.</summary>
/// <param name="Theta">The base of the frequencies.</param>
/// <param name="ThetaKey">Its key outside rope_parameters.</param>
/// <param name="Partial">Fraction of a head that is rotated.</param>
/// <param name="PartialKey">Its key outside rope_parameters.</param>
/// <param name="IsPartial">Whether the family rotates only a fraction of a head; in transformers 5.12 other families
/// ignore it.</param>
/// <param name="IsInterleaved">Whether a rotated pair is (2i, 2i + 1).</param>
/// <param name="ScalesQueries">Whether llama_4_scaling_beta scales the queries.</param>
internal sealed record RopeDefaults(
    double Theta = 10_000, string ThetaKey = "rope_theta", double Partial = 1,
    string PartialKey = "partial_rotary_factor",
    bool IsPartial = false, bool IsInterleaved = false, bool ScalesQueries = false);
