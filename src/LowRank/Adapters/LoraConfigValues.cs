using System.Text.Json;
using LowRank.Adapters.Json;
using LowRank.Adapters.Methods;

namespace LowRank.Adapters;

/// <summary>A config as the values of its file.</summary>
internal static class LoraConfigValues
{
    private static readonly JsonElement Null = JsonElement.Parse("null");

    private static readonly Dictionary<string, Func<LoraConfig, JsonElement>> Properties = new()
    {
        ["alpha"] = config => Raw(config.Alpha.ToString()),
        ["alpha_pattern"] = config => Map(config.AlphaPattern.Select(p => KeyValuePair.Create(p.Key, Raw(p.Value.ToString())))),
        ["base_model_name_or_path"] = config => Text(config.BaseModel),
        ["bias"] = config => Text(config.Bias switch { BiasTraining.All => "all", BiasTraining.Adapted => "lora_only", _ => "none" }),
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
        && AdapterKinds.Find(peftType)?.Keys.FirstOrDefault(known => known.Name == key) is { IsOwn: false };

    /// <summary>Every key of PEFT 0.20.1 for this kind of adapter and the unknown ones, with their values.</summary>
    public static IReadOnlyDictionary<string, JsonElement> Of(LoraConfig config)
    {
        var values = new Dictionary<string, JsonElement>(config.OtherKeys);
        foreach (LoraConfigKey key in AdapterKinds.Of(config).Keys)
        {
            if (!key.IsOwn && Properties.TryGetValue(key.Name, out Func<LoraConfig, JsonElement>? property)) values[key.Name] = property(config);
            else values.TryAdd(key.Name, key.Default);
        }
        return values;
    }

    private static JsonElement Raw(string json) => JsonElement.Parse(json);

    private static JsonElement Flag(bool value) => Raw(value ? "true" : "false");

    private static JsonElement Text(string? value) => value is null ? Null : Raw(PythonJson.Quote(value));

    private static JsonElement Initial(InitialWeights initial) => initial.Text is { } method ? Text(method) : Raw(initial.Name);

    private static JsonElement Tokens(IReadOnlyList<KeyValuePair<string?, IReadOnlyList<int>>>? tokens) => tokens switch
    {
        null => Null,
        [{ Key: null, Value: var only }] => Raw($"[{string.Join(',', only)}]"),
        _ => Map(tokens.Select(table => KeyValuePair.Create(table.Key ?? "embed_tokens", Raw($"[{string.Join(',', table.Value)}]")))),
    };

    private static JsonElement List(IEnumerable<string> names) => Raw($"[{string.Join(',', names.Select(PythonJson.Quote))}]");

    private static JsonElement Selection(ModuleSelection? selection) => selection switch
    {
        null => Null,
        { Names: { } names } => List(names),
        _ => Text(selection.Text),
    };

    private static JsonElement Map(IEnumerable<KeyValuePair<string, JsonElement>> values) => Raw(PythonJson.Write(values));
}
