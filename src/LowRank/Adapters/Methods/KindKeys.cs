using System.Text.Json;
using LowRank.Adapters.Files;
using LowRank.Adapters.Json;
using LowRank.Adapters.Matching;
using LowRank.Tensors;
using static LowRank.Adapters.Json.JsonShape;

namespace LowRank.Adapters.Methods;

/// <summary>Keys of configs that several kinds of adapters share (peft/config.py and the tuners' config.py).</summary>
internal static class KindKeys
{
    /// <summary>The keys of every kind of PEFT adapter that sits on layers.</summary>
    public static IReadOnlyList<LoraConfigKey> Common { get; } =
    [
        new("auto_mapping", "null", Map | Null),
        new("base_model_name_or_path", "null", Text | Null),
        new("inference_mode", "true", JsonShape.Boolean),
        new("peft_type", "\"\"", Text),
        new("peft_version", "null", Text | Null),
        new("revision", "null", Text | Null),
        new("task_type", "null", Text | Null),
    ];

    /// <summary><see cref="Common"/> with the keys that choose modules.</summary>
    public static IReadOnlyList<LoraConfigKey> Targeted { get; } =
    [
        .. Common,
        new("exclude_modules", "null", Text | TextList | Null),
        new("modules_to_save", "null", TextList | Null),
        new("target_modules", "null", Text | TextList | Null),
    ];

    /// <summary><see cref="Targeted"/> with the keys that choose layers.</summary>
    public static IReadOnlyList<LoraConfigKey> Layered { get; } =
    [
        .. Targeted,
        new("layers_pattern", "null", Text | TextList | Null),
        new("layers_to_transform", "null", Integer | IntegerList | Null),
    ];

    /// <summary>A number among a config's other keys.</summary>
    public static double Number(this LoraConfig config, string key) => Value(config, key).GetDouble();

    /// <summary>A whole number among a config's other keys.</summary>
    public static int Whole(this LoraConfig config, string key) => Value(config, key).GetInt32();

    /// <summary>A truth value among a config's other keys.</summary>
    public static bool Flag(this LoraConfig config, string key) => Value(config, key).GetBoolean();

    /// <summary>A value among a config's other keys, or its default.</summary>
    public static JsonElement Value(this LoraConfig config, string key) => config.OtherKeys.TryGetValue(key, out JsonElement value)
        ? value : AdapterKinds.Of(config).Keys.Single(known => known.Name == key).Default;

    /// <summary>The paths of the modules that have a tensor of an ending in a file.</summary>
    public static IEnumerable<string> ModulesOf(SafeTensorsFile file, string ending) => file.Entries.Keys
        .Where(key => key.StartsWith(PeftTensorKeys.Prefix, StringComparison.Ordinal) && key.EndsWith(ending, StringComparison.Ordinal))
        .Select(key => key[PeftTensorKeys.Prefix.Length..^ending.Length]);

    /// <summary>The alpha that holds for a module.</summary>
    public static double AlphaOf(LoraConfig config, string path) =>
        (new PatternValues<ConfigNumber>(config.AlphaPattern, "alpha_pattern").All(path) is [var own, ..] ? own.Value : config.Alpha).Value;

    /// <summary>A problem where a number is not in a range.</summary>
    public static IEnumerable<string> Range(LoraConfig config, string key, double least, double most)
    {
        double value = config.Number(key);
        if (!(value >= least && value <= most)) yield return $"{key}: found {value}, expected {least} to {most}";
    }
}
