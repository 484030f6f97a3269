using System.Globalization;
using System.Text.Json;
using LowRank.Adapters.Json;
using LowRank.Adapters.Methods;
using static LowRank.Adapters.Json.JsonShape;

namespace LowRank.Adapters;

/// <summary>The keys of a LoRA config as PEFT 0.20.1 writes them (peft/tuners/lora/config.py,
/// peft/config.py).</summary>
/// <remarks>A method that becomes available widens or drops the limit of its key here; nothing else decides what is
/// refused.</remarks>
internal static class LoraConfigKeys
{
    private const string Merge = "merge that adapter in PEFT and load the merged model instead";

    /// <summary>All keys, in ordinal order.</summary>
    public static IReadOnlyList<LoraConfigKey> All { get; } =
    [
        new("alora_invocation_tokens", "null", IntegerList | Null,
            OnlyNull("activated LoRA (aLoRA)", "train the adapter without it")),
        new("alpha_pattern", "{}", NumberMap | Null),
        new("arrow_config", "null", Map | Null,
        OnlyNull("Arrow routing between adapters", "load one of the adapters alone")),
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
            LoraInitializers.Names,
            "for a new adapter choose one of these; an adapter that took a part of the base away that cannot be " +
            "found again (corda, "
            + "loftq, lora_ga, pissa_niter_N) has to be saved by PEFT with " +
            "path_initial_model_for_weight_conversion first; where loftq's base is "
            + "at hand, quantised as it was then, set true")),
        new("kasa_config", "null", Map | Null, OnlyNull("KaSA, which changes the base", Merge)),
        new("layer_replication", "null", List | Null, OnlyNull("repeated layers", Merge)),
        new("layers_pattern", "null", Text | TextList | Null),
        new("layers_to_transform", "null", Integer | IntegerList | Null),
        new("loftq_config", "{}", Map | Null, new(
            (value, use) => use == AdapterUse.Load || IsEmpty(value), "{}",
                "settings of LoftQ's quantisation; here the base is opened quantised, and init_lora_weights " +
                "\"loftq\" takes it as it is")),
        new("lora_alpha", "8", Number),
        new("lora_bias", "false", JsonShape.Boolean),
        new("lora_dropout", "0.0", Number),
        new("lora_ga_config", "null", Map | Null),
        new("megatron_config", "null", Map | Null,
        OnlyNull("Megatron's parallel layers", "save the adapter for a plain model")),
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
            (value, _) => IsEmpty(value), "null",
                "adapters on bare parameters (mixture-of-experts weights); use target_modules")),
        new("task_type", "null", Text | Null),
        new("trainable_token_indices", "null", IntegerList | Map | Null),
        new("use_bdlora", "null", Map | Null, OnlyNull("block-diagonal LoRA", Merge)),
        new("use_dora", "false", JsonShape.Boolean),
        new("use_qalora", "false", JsonShape.Boolean,
        OnlyFalse("QALoRA on a GPTQ base", "train the adapter without it")),
        new("use_rslora", "false", JsonShape.Boolean),
        new("velora_config", "null", Map | Null, new(
            (value, use) => use == AdapterUse.Load || value.ValueKind == JsonValueKind.Null, "null",
                "VeLoRA's compressed backward pass; set it to null")),
    ];

    /// <summary>The keys by name.</summary>
    public static IReadOnlyDictionary<string, LoraConfigKey> ByName { get; } = All.ToDictionary(key => key.Name);

    private static bool SupportsInitialisation(JsonElement value, AdapterUse use) => value.ValueKind switch
    {
        JsonValueKind.True or JsonValueKind.False => true,
        JsonValueKind.Null => use == AdapterUse.Load,
        _ => LoraInitializers.Supports(value.GetString()!.ToLowerInvariant(), use)
        || (use == AdapterUse.Load && value.GetString() == "mica"),
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

/// <summary>One key of PEFT's config of an adapter: what it may hold, what it holds when it is missing, and which of
/// its values LowRank can act on.</summary>
/// <param name="Name">The key.</param>
/// <param name="DefaultText">The JSON that PEFT 0.20.1 assumes where the key is missing.</param>
/// <param name="Shape">The kinds of value that PEFT takes.</param>
/// <param name="Limit">The values we can act on; null where every value of the right kind is.</param>
/// <param name="IsOwn">Whether the key, though another kind of adapter has one of its name as a property of
/// <see cref="LoraConfig"/>, means something else here and is kept as data.</param>
internal sealed record LoraConfigKey(
    string Name, string DefaultText, JsonShape Shape, LoraConfigKeyLimit? Limit = null, bool IsOwn = false)
{
    /// <summary>The value of a missing key.</summary>
    public JsonElement Default { get; } = JsonElement.Parse(DefaultText);
}

/// <summary>The values of a key that LowRank can act on.</summary>
/// <param name="Supports">Whether a value of the right kind can be acted on, for this use.</param>
/// <param name="Expected">The supported values in words.</param>
/// <param name="Advice">What the other values ask for, and what to do instead.</param>
internal sealed record LoraConfigKeyLimit(Func<JsonElement, AdapterUse, bool> Supports, string Expected, string Advice);

/// <summary>A config as the values of its file.</summary>
internal static class LoraConfigValues
{
    private static readonly JsonElement Null = JsonElement.Parse("null");

    private static readonly Dictionary<string, Func<LoraConfig, JsonElement>> Properties = new()
    {
        ["alpha"] = config => Raw(config.Alpha.ToString()),
        ["alpha_pattern"] = config =>
            Map(config.AlphaPattern.Select(p => KeyValuePair.Create(p.Key, Raw(p.Value.ToString())))),
        ["base_model_name_or_path"] = config => Text(config.BaseModel),
        ["bias"] = config =>
            Text(config.Bias switch { BiasTraining.All => "all", BiasTraining.Adapted => "lora_only", _ => "none" }),
        ["ensure_weight_tying"] = config => Flag(config.EnsureWeightTying),
        ["exclude_modules"] = config => Selection(config.ExcludeModules),
        ["fan_in_fan_out"] = config => Flag(config.FanInFanOut),
        ["inference_mode"] = _ => Flag(true), // PEFT sets it whenever it saves
        ["init_ia3_weights"] = config => Initial(config.InitialWeights),
        ["init_lora_weights"] = config => Initial(config.InitialWeights),
        ["init_weights"] = config => Initial(config.InitialWeights),
        ["layers_pattern"] = config => Selection(config.LayersPattern),
        ["layers_to_transform"] = config => config.LayersToTransform is { } layers ? Raw(layers.ToString()) : Null,
        ["lora_alpha"] = config => Raw(config.Alpha.ToString()),
        ["lora_bias"] = config => Flag(config.BiasOnB),
        ["lora_dropout"] = config => Raw(config.Dropout.ToString()),
        ["modules_to_save"] = config => config.ModulesToSave is { } names ? List(names) : Null,
        ["peft_type"] = config => Text(config.PeftType),
        ["peft_version"] = config => Text(config.PeftVersion),
        ["r"] = config => Raw($"{config.Rank}"),
        ["rank_pattern"] = config => Map(config.RankPattern.Select(p => KeyValuePair.Create(p.Key, Raw($"{p.Value}")))),
        ["revision"] = config => Text(config.Revision),
        ["target_modules"] = config => Selection(config.TargetModules),
        ["task_type"] = config => Text(config.TaskType),
        ["trainable_token_indices"] = config => Tokens(config.TrainedTokens),
        ["use_dora"] = config => Flag(config.UseDora),
        ["use_rslora"] = config => Flag(config.UseRankStabilizedScale),
        ["vera_dropout"] = config => Raw(config.Dropout.ToString()),
    };

    /// <summary>Whether the key is a property of <see cref="LoraConfig"/>; the others are kept as data.</summary>
    public static bool HasProperty(string peftType, string key) => Properties.ContainsKey(key)
        && AdapterTypes.Find(peftType)?.Keys.FirstOrDefault(known => known.Name == key) is { IsOwn: false };

    /// <summary>Every key of PEFT 0.20.1 for this kind of adapter and the unknown ones, with their values.</summary>
    public static IReadOnlyDictionary<string, JsonElement> Of(LoraConfig config)
    {
        var values = new Dictionary<string, JsonElement>(config.OtherKeys);
        foreach (LoraConfigKey key in AdapterTypes.Of(config).Keys)
        {
            if (!key.IsOwn && Properties.TryGetValue(key.Name, out Func<LoraConfig, JsonElement>? property))
                values[key.Name] = property(config);
            else values.TryAdd(key.Name, key.Default);
        }
        return values;
    }

    private static JsonElement Raw(string json) => JsonElement.Parse(json);

    private static JsonElement Flag(bool value) => Raw(value ? "true" : "false");

    private static JsonElement Text(string? value) => value is null ? Null : Raw(PythonJson.Quote(value));

    private static JsonElement Initial(InitialWeights initial) => initial.Text is { } method ? Text(method)
        : Raw(initial.Name);

    private static JsonElement Tokens(IReadOnlyList<KeyValuePair<string?, IReadOnlyList<int>>>? tokens) => tokens switch
    {
        null => Null,
        [{ Key: null, Value: var only }] => Raw($"[{string.Join(',', only)}]"),
        _ => Map(
            tokens.Select(
                table => KeyValuePair.Create(table.Key ?? "embed_tokens", Raw($"[{string.Join(',', table.Value)}]")))),
    };

    private static JsonElement List(IEnumerable<string> names) =>
        Raw($"[{string.Join(',', names.Select(PythonJson.Quote))}]");

    private static JsonElement Selection(ModuleSelection? selection) => selection switch
    {
        null => Null,
        { Names: { } names } => List(names),
        _ => Text(selection.Text),
    };

    private static JsonElement Map(IEnumerable<KeyValuePair<string, JsonElement>> values) =>
        Raw(PythonJson.Write(values));
}

/// <summary>A number of a config file that remembers whether it was written as a whole number: PEFT keeps <c>16</c> and
/// <c>16.0</c> apart when it writes a file again.</summary>
public readonly record struct ConfigNumber
{
    private ConfigNumber(double value, bool isInteger)
    {
        Value = value;
        IsInteger = isInteger;
    }

    /// <summary>The value.</summary>
    public double Value { get; }

    /// <summary>Whether it is written without a point.</summary>
    public bool IsInteger { get; }

    /// <summary>A whole number, written without a point.</summary>
    public static implicit operator ConfigNumber(int value) => FromInt32(value);

    /// <summary>A float, written with a point or an exponent.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The number is not finite.</exception>
    public static implicit operator ConfigNumber(double value) => FromDouble(value);

    /// <summary>A whole number, written without a point.</summary>
    public static ConfigNumber FromInt32(int value) => new(value, isInteger: true);

    /// <summary>A float, written with a point or an exponent.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The number is not finite.</exception>
    public static ConfigNumber FromDouble(double value) => double.IsFinite(value)
        ? new(value, isInteger: false)
        : throw new ArgumentOutOfRangeException(nameof(value), value, "a setting is a finite number");

    /// <summary>The text as Python writes it in JSON.</summary>
    public override string ToString() => IsInteger ? ((long)Value).ToString(CultureInfo.InvariantCulture)
        : PythonFloat.Text(Value);

    /// <summary>Reads the text of a JSON number; null where it is not finite or a whole number beyond ±2^53.</summary>
    internal static ConfigNumber? Read(string text)
    {
        double value = double.Parse(text, NumberStyles.Float, CultureInfo.InvariantCulture);
        if (!double.IsFinite(value)) return null;
        if (!PythonJson.IsInteger(text)) return new(value, isInteger: false);
        return Math.Abs(value) <= 1L << 53 ? new(value + 0.0, isInteger: true) : null;
    }
}
