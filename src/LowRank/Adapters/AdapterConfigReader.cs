using System.Text;
using System.Text.Json;
using LowRank.Adapters.Json;

namespace LowRank.Adapters;

/// <summary>Reads <c>adapter_config.json</c> into the record of its type and reports all problems together.</summary>
internal static class AdapterConfigReader
{
    private static readonly JsonElement False = JsonElement.Parse("false");

    /// <summary>Reads the bytes of a file.</summary>
    /// <param name="utf8">The file.</param>
    /// <param name="source">Its name in messages.</param>
    public static AdapterConfig Parse(byte[] utf8, string source)
    {
        (Dictionary<string, JsonElement> values, Dictionary<string, int> lines, List<string> problems) =
            ReadKeys(utf8, source);
        IAdapterType kind = CheckKind(values, problems, lines, source);
        Dictionary<string, ConfigKey> keys = kind.Keys.ToDictionary(key => key.Name);
        // Python treats a null flag as false, and older PEFT versions wrote null.
        foreach (string name in values.Where(
            value => value.Value.ValueKind == JsonValueKind.Null && keys.TryGetValue(value.Key, out ConfigKey? key)
            && key.Shape == JsonShape.Boolean).Select(value => value.Key).ToList())
            values[name] = False;
        foreach ((string name, JsonElement value) in values)
        {
            if (keys.TryGetValue(name, out ConfigKey? key) && !key.Shape.Fits(value))
                problems.Add(
                    $"line {lines[name]}: {name}: found {JsonShapes.Brief(value)}, expected {key.Shape.Words()}");
        }
        if (problems.Count > 0)
            throw new InputException($"{source} is not a {kind.Label} config that PEFT would write:", problems);
        AdapterConfig config = Build(kind, values);
        IReadOnlyList<string> broken = [.. BiasProblem(kind, values), .. config.Problems()];
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
                    $"{AdapterConfig.FileName}?");
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                string name = reader.GetString()!;
                int line = 1 + utf8.AsSpan(0, (int)reader.TokenStartIndex).Count((byte)'\n');
                place = $", line {line}, {name}";
                reader.Read();
                JsonElement value = JsonElement.ParseValue(ref reader);
                // finds values that cannot be written again, at any depth: text that is not valid Unicode, infinite
                // numbers
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

    // All values have the right kind here.
    private static AdapterConfig Build(IAdapterType type, Dictionary<string, JsonElement> values)
    {
        AdapterConfig config = type.Create();
        var asRead = new Dictionary<string, JsonElement>();
        foreach (ConfigKey key in type.Keys)
        {
            if (key.Set is not { } set) continue;
            bool isThere = values.TryGetValue(key.Name, out JsonElement value);
            config = set(config, isThere ? value : key.Absent);
            if (isThere && key.KeepsText) asRead[key.Name] = value;
        }
        HashSet<string> properties = [.. type.Keys.Where(key => key.Set is not null).Select(key => key.Name)];
        return config with
        {
            OtherKeys = values.Where(value => !properties.Contains(value.Key)).ToDictionary(), AsRead = asRead,
        };
    }

    private static IEnumerable<string> BiasProblem(IAdapterType type, Dictionary<string, JsonElement> values)
    {
        if (type.Keys.Any(key => key is { Name: "bias", Set: not null })
            && values.TryGetValue("bias", out JsonElement given)
            && given.GetString() is not ("none" or "lora_only" or "all"))
            yield return $"bias: found \"{given.GetString()}\", expected \"none\", \"lora_only\" or \"all\"";
    }
}

/// <summary>The rules on values that PEFT checks when it creates a config or a layer.</summary>
internal static class ConfigRules
{
    private const int MostRank = 65536;

    private static readonly string[] TaskTypes =
        ["SEQ_CLS", "SEQ_2_SEQ_LM", "CAUSAL_LM", "TOKEN_CLS", "QUESTION_ANS", "FEATURE_EXTRACTION"];

    /// <summary>The rules of LoRA and its variants; one line for each violation, starting with the key.</summary>
    public static IReadOnlyList<string> OfLora(
        LowRankConfig config, double dropout, IEnumerable<string>? others = null) =>
    [
        .. Rank(config), .. Fraction("lora_dropout", dropout), .. RankPattern(config), .. others ?? [],
        .. TaskType(config), .. Typed(config), .. Layers(config),
    ];

    /// <summary>One line for each rank below 1 or above the number of directions of any layer, whose pairs would fill
    /// the memory.</summary>
    public static IEnumerable<string> Ranks(LowRankConfig config) => [.. Rank(config), .. RankPattern(config)];

    /// <summary>A line if a fraction is not from 0 to 1.</summary>
    public static IEnumerable<string> Fraction(string key, double value) => value is >= 0 and <= 1 ? []
        : [$"{key}: found {PythonFloat.Text(value)}, expected 0 to 1"];

    /// <summary>One line for each alpha whose scale does not fit float32, because changes are computed in
    /// float32.</summary>
    public static IEnumerable<string> Alphas(AdapterConfig any)
    {
        if (any is not LowRankConfig config) yield break;
        bool IsTooLarge(ConfigNumber alpha) =>
            Math.Abs(config.Scale(Math.Max(1, config.Rank), alpha.Value)) > float.MaxValue;
        const string Expected =
            "expected a number that scales changes (alpha / r) within float32, up to 3.4e38; usual are 1 to 2 times r";
        string key = any.Type.Keys.Any(known => known.Name == "lora_alpha") ? "lora_alpha" : "alpha";
        if (IsTooLarge(config.Alpha)) yield return $"{key}: found {config.Alpha}, {Expected}";
        foreach ((string name, ConfigNumber alpha) in config.AlphaPattern.Where(alpha => IsTooLarge(alpha.Value)))
            yield return $"alpha_pattern[\"{name}\"]: found {alpha}, {Expected}";
    }

    private static IEnumerable<string> Rank(LowRankConfig config) => config.Rank is < 1 or > MostRank
        ? [$"r: found {config.Rank}, expected 1 to {MostRank}"] : [];

    private static IEnumerable<string> RankPattern(LowRankConfig config) =>
        config.RankPattern.Where(rank => rank.Value is < 1 or > MostRank)
        .Select(rank => $"rank_pattern[\"{rank.Key}\"]: found {rank.Value}, expected 1 to {MostRank}");

    private static IEnumerable<string> TaskType(AdapterConfig config) =>
        config.TaskType is null || TaskTypes.Contains(config.TaskType) ? []
            : [$"task_type: found \"{config.TaskType}\", expected null or one of {string.Join(", ", TaskTypes)}"];

    private static IEnumerable<string> Typed(AdapterConfig config) =>
        config.OtherKeys.Keys.Where(key => config.Type.Keys.Any(known => known.Name == key && known.Set is not null))
        .Select(key => $"{key}: stands among the other keys; set the property of {config.GetType().Name} instead");

    private static IEnumerable<string> Layers(AdapterConfig config)
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
