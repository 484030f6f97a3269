using System.Text;
using System.Text.Json;
using LowRank.Adapters.Json;
using LowRank.Adapters.Methods;

namespace LowRank.Adapters;

/// <summary>Reads <c>adapter_config.json</c> and reports everything that is wrong with it at once.</summary>
internal static class LoraConfigReader
{
    private static readonly JsonElement False = JsonElement.Parse("false");

    /// <summary>Reads the bytes of a file.</summary>
    /// <param name="utf8">The file.</param>
    /// <param name="source">What to call it in messages.</param>
    public static LoraConfig Read(byte[] utf8, string source)
    {
        (Dictionary<string, JsonElement> values, Dictionary<string, int> lines, List<string> problems) =
            ReadKeys(utf8, source);
        IAdapterType kind = CheckKind(values, problems, lines, source);
        Dictionary<string, LoraConfigKey> keys = kind.Keys.ToDictionary(key => key.Name);
        // A flag that is null counts as false in Python, and older versions of PEFT wrote such.
        foreach (string name in values.Where(
            value => value.Value.ValueKind == JsonValueKind.Null && keys.TryGetValue(value.Key, out LoraConfigKey? key)
            && key.Shape == JsonShape.Boolean).Select(value => value.Key).ToList())
            values[name] = False;
        foreach ((string name, JsonElement value) in values)
        {
            if (keys.TryGetValue(name, out LoraConfigKey? key) && !key.Shape.Fits(value))
                problems.Add(
                    $"line {lines[name]}: {name}: found {JsonShapes.Brief(value)}, expected {key.Shape.Words()}");
        }
        if (problems.Count > 0)
            throw new InputException($"{source} is not a {kind.Label} config that PEFT would write:", problems);
        LoraConfig config = Build(kind, values, out string? biasProblem);
        IReadOnlyList<string> broken = [.. kind.Problems(config), .. LoraConfigRules.Alphas(config)];
        if (biasProblem is not null) broken = [biasProblem, .. broken];
        return broken.Count == 0
            ? config
            : throw new InputException(
                $"{source} cannot be used:", [.. broken.Select(problem => WithLine(problem, lines))]);
    }

    private static string WithLine(string problem, Dictionary<string, int> lines)
    {
        string key = problem[..problem.AsSpan().IndexOfAny(':', '[')];
        return lines.TryGetValue(key, out int line) ? $"line {line}: {problem}" : problem;
    }

    private static IAdapterType CheckKind(
        Dictionary<string, JsonElement> values, List<string> problems, Dictionary<string, int> lines, string source)
    {
        IAdapterType lora = AdapterTypes.Find("LORA")!;
        if (!values.TryGetValue("peft_type", out JsonElement type))
        {
            problems.Add(
                "peft_type: missing, expected \"LORA\". Is this PEFT's file, and not another tool's of the same " +
                "name (mlx-lm writes fine_tune_type)?");
            return lora;
        }
        if (type.ValueKind != JsonValueKind.String) return lora; // its shape is reported with the others'
        return AdapterTypes.Find(type.GetString()!)
            ?? throw new InputException(
                $"{source}, line {lines["peft_type"]}: peft_type: found {JsonShapes.Brief(type)}, "
            + $"expected one of {string.Join(", ", AdapterTypes.PeftTypes.Select(name => $"\"{name}\""))}. Other " +
            "kinds of adapters cannot be used here: merge this one in PEFT and load the merged model.");
    }

    private static (
        Dictionary<string, JsonElement> Values, Dictionary<string, int> Lines, List<string> Problems) ReadKeys(
            byte[] utf8, string source)
    {
        var values = new Dictionary<string, JsonElement>();
        var lines = new Dictionary<string, int>();
        var problems = new List<string>();
        string place = "";
        try
        {
            var reader = new Utf8JsonReader(utf8);
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
                throw new InputException(
                    $"{source}: found {reader.TokenType}, expected a JSON object. Is this an adapter's " +
                    $"{LoraConfig.FileName}?");
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                string name = reader.GetString()!;
                int line = 1 + utf8.AsSpan(0, (int)reader.TokenStartIndex).Count((byte)'\n');
                place = $", line {line}, {name}";
                reader.Read();
                JsonElement value = JsonElement.ParseValue(ref reader);
                // finds what cannot be written again, at any depth: text that is no Unicode, infinite numbers
                _ = PythonJson.Write([KeyValuePair.Create(name, value)]);
                if (values.TryAdd(name, value)) lines[name] = line;
                else problems.Add($"line {line}: {name}: stands here again after line {lines[name]}; keep one");
                problems.AddRange(
                    Repeated(value)
                    .Select(key => $"line {line}: {name}: the key \"{key}\" stands in it twice; keep one"));
            }
            if (reader.Read()) throw new JsonException("text after the object");
        }
        catch (Exception failure) when (failure is JsonException or InvalidOperationException)
        {
            string line = failure is JsonException { LineNumber: { } number } ? $", line {number + 1}" : place;
            throw new InputException(
                $"{source}{line}: not JSON: {failure.Message.Split(" Path:")[0].TrimEnd('.')}. Save the file again " +
                "with PEFT, or mend it by hand.", failure);
        }
        return (values, lines, problems);
    }

    private static IEnumerable<string> Repeated(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Array => value.EnumerateArray().SelectMany(Repeated),
        JsonValueKind.Object =>
        value.EnumerateObject().GroupBy(p => p.Name).Where(group => group.Count() > 1).Select(group => group.Key)
            .Concat(value.EnumerateObject().SelectMany(p => Repeated(p.Value))),
        _ => [],
    };

    // Every value has the right kind here.
    private static LoraConfig Build(IAdapterType kind, Dictionary<string, JsonElement> values, out string? biasProblem)
    {
        // Of several names that kinds have for the same setting, the one that this kind has; LoRA's default where it
        // has none.
        JsonElement Value(params string[] names)
        {
            string name = names.FirstOrDefault(
                known => kind.Keys.Any(key => key.Name == known && !key.IsOwn), names[0]);
            LoraConfigKey? own = kind.Keys.FirstOrDefault(key => key.Name == name && !key.IsOwn);
            if (own is not null && values.TryGetValue(name, out JsonElement value)) return value;
            return (own ?? LoraConfigKeys.ByName[names[0]]).Default;
        }
        string bias = Value("bias").GetString()!;
        biasProblem = bias is "none" or "lora_only" or "all" ? null
            : $"bias: found \"{bias}\", expected \"none\", \"lora_only\" or \"all\"";
        return new LoraConfig
        {
            PeftType = kind.PeftType,
            Rank = Value("r").GetInt32(),
            Alpha = Number(Value("lora_alpha", "alpha")),
            Dropout = Number(Value("lora_dropout", "vera_dropout")),
            Bias = bias switch { "all" => BiasTraining.All, "lora_only" => BiasTraining.Adapted,
            _ => BiasTraining.None },
            UseRankStabilizedScale = Value("use_rslora").GetBoolean(),
            FanInFanOut = Value("fan_in_fan_out").GetBoolean(),
            InitialWeights = Initial(Value("init_lora_weights", "init_weights", "init_ia3_weights")),
            BiasOnB = Value("lora_bias").GetBoolean(),
            UseDora = Value("use_dora").GetBoolean(),
            EnsureWeightTying = Value("ensure_weight_tying").GetBoolean(),
            TrainedTokens = Tokens(Value("trainable_token_indices")),
            TargetModules = Selection(Value("target_modules")),
            ExcludeModules = Selection(Value("exclude_modules")),
            LayersToTransform = Layers(Value("layers_to_transform")),
            LayersPattern = Selection(Value("layers_pattern")),
            RankPattern = Map(Value("rank_pattern"), value => value.GetInt32()),
            AlphaPattern = Map(Value("alpha_pattern"), Number),
            ModulesToSave = Value("modules_to_save") is { ValueKind: JsonValueKind.Array } names ? Texts(names) : null,
            BaseModel = Value("base_model_name_or_path").GetString(),
            Revision = Value("revision").GetString(),
            TaskType = Value("task_type").GetString(),
            PeftVersion = Value("peft_version").GetString() ?? LoraConfig.FormatVersion,
            OtherKeys = values.Where(value => !LoraConfigValues.HasProperty(kind.PeftType, value.Key)).ToDictionary(),
        };
    }

    private static IReadOnlyList<KeyValuePair<string?, IReadOnlyList<int>>>? Tokens(JsonElement value) =>
        value.ValueKind switch
    {
        JsonValueKind.Array => [KeyValuePair.Create<string?, IReadOnlyList<int>>(null, Wholes(value))],
        JsonValueKind.Object =>
        [.. value.EnumerateObject()
        .Select(table => KeyValuePair.Create<string?, IReadOnlyList<int>>(table.Name, Wholes(table.Value)))],
        _ => null,
    };

    private static int[] Wholes(JsonElement list) => [.. list.EnumerateArray().Select(item => item.GetInt32())];

    private static ConfigNumber Number(JsonElement value) => ConfigNumber.Read(value.GetRawText())!.Value;

    private static string[] Texts(JsonElement list) => [.. list.EnumerateArray().Select(item => item.GetString()!)];

    private static InitialWeights Initial(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.True => InitialWeights.True,
        JsonValueKind.False => InitialWeights.False,
        JsonValueKind.Null => InitialWeights.Null,
        _ => InitialWeights.Method(value.GetString()!),
    };

    private static ModuleSelection? Selection(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null => null,
        JsonValueKind.Array => ModuleSelection.Of(Texts(value)),
        _ => ModuleSelection.Pattern(value.GetString()!),
    };

    private static LayerSelection? Layers(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null => null,
        JsonValueKind.Array => LayerSelection.Of([.. value.EnumerateArray().Select(item => item.GetInt32())]),
        _ => LayerSelection.One(value.GetInt32()),
    };

    private static OrderedDictionary<string, T> Map<T>(JsonElement value, Func<JsonElement, T> read)
    {
        var map = new OrderedDictionary<string, T>();
        if (value.ValueKind == JsonValueKind.Null) return map;
        foreach (JsonProperty property in value.EnumerateObject()) map[property.Name] = read(property.Value);
        return map;
    }
}

/// <summary>The rules on values that PEFT checks when it makes a config or a layer.</summary>
internal static class LoraConfigRules
{
    private const int MostRank = 65536;

    private static readonly string[] TaskTypes =
        ["SEQ_CLS", "SEQ_2_SEQ_LM", "CAUSAL_LM", "TOKEN_CLS", "QUESTION_ANS", "FEATURE_EXTRACTION"];

    /// <summary>One line for each broken rule, with the key's name first.</summary>
    public static IReadOnlyList<string> Problems(LoraConfig config) =>
        [.. Values(config), .. Layers(config)];

    /// <summary>One line for each rank below 1, or beyond what any layer has directions for: its pairs would fill the
    /// memory.</summary>
    public static IEnumerable<string> Ranks(LoraConfig config) => [.. Rank(config), .. RankPattern(config)];

    private static IEnumerable<string> Rank(LoraConfig config) => config.Rank is < 1 or > MostRank
        ? [$"r: found {config.Rank}, expected 1 to {MostRank}"] : [];

    private static IEnumerable<string> RankPattern(LoraConfig config) =>
        config.RankPattern.Where(rank => rank.Value is < 1 or > MostRank)
        .Select(rank => $"rank_pattern[\"{rank.Key}\"]: found {rank.Value}, expected 1 to {MostRank}");

    /// <summary>One line for each alpha whose scale is no float32 number: changes are computed in float32.</summary>
    public static IEnumerable<string> Alphas(LoraConfig config)
    {
        bool IsTooLarge(ConfigNumber alpha) =>
            Math.Abs(config.Scale(Math.Max(1, config.Rank), alpha.Value)) > float.MaxValue;
        const string Expected =
            "expected a number that scales changes (alpha / r) within float32, up to 3.4e38; usual are 1 to 2 times r";
        if (IsTooLarge(config.Alpha)) yield return $"lora_alpha: found {config.Alpha}, {Expected}";
        foreach ((string name, ConfigNumber alpha) in config.AlphaPattern.Where(alpha => IsTooLarge(alpha.Value)))
            yield return $"alpha_pattern[\"{name}\"]: found {alpha}, {Expected}";
    }

    private static IEnumerable<string> Values(LoraConfig config)
    {
        foreach (string problem in Rank(config)) yield return problem;
        if (config.Dropout.Value is < 0 or > 1) yield return $"lora_dropout: found {config.Dropout}, expected 0 to 1";
        foreach (string problem in RankPattern(config)) yield return problem;
        if (config.PeftType == "LORA" && config.UseDora && config.BiasOnB)
            yield return "lora_bias: found true beside use_dora; PEFT has no bias on B with DoRA. Choose one";
        if (config.TaskType is not null && !TaskTypes.Contains(config.TaskType))
            yield return $"task_type: found \"{config.TaskType}\", expected null or one of " +
                $"{string.Join(", ", TaskTypes)}";
        foreach (string typed in config.OtherKeys.Keys.Where(key => LoraConfigValues.HasProperty(config.PeftType, key)))
            yield return $"{typed}: stands among the other keys; set the property of LoraConfig instead";
    }

    private static IEnumerable<string> Layers(LoraConfig config)
    {
        bool isPattern = config.TargetModules?.Text is not null;
        if (config.LayersToTransform is { } layers)
        {
            if (isPattern)
                yield return $"layers_to_transform: found {layers} beside the text target_modules " +
                    $"{config.TargetModules}; it works with a list of names only. "
                    + "List the modules, or put the layer numbers into the expression";
            foreach (int layer in layers.Layers.Where(layer => layer < 0))
                yield return $"layers_to_transform: found {layer}, expected layer numbers from 0";
        }
        if (config.LayersPattern is null) yield break;
        if (isPattern)
            yield return $"layers_pattern: found {config.LayersPattern} beside the text target_modules " +
                $"{config.TargetModules}; it works with a list of names only";
        else if (config.LayersToTransform is null && !config.LayersPattern.IsEmpty)
            yield return $"layers_pattern: found {config.LayersPattern} without layers_to_transform; give the " +
                "layer numbers too, or leave it out";
    }
}
