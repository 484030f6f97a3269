namespace LowRank.Adapters;

/// <summary>The rules on values that PEFT checks when it makes a config or a layer.</summary>
internal static class LoraConfigRules
{
    private const int MostRank = 65536;

    private static readonly string[] TaskTypes =
        ["SEQ_CLS", "SEQ_2_SEQ_LM", "CAUSAL_LM", "TOKEN_CLS", "QUESTION_ANS", "FEATURE_EXTRACTION"];

    /// <summary>One line for each broken rule, with the key's name first.</summary>
    public static IReadOnlyList<string> Problems(LoraConfig config) =>
        [.. Values(config), .. Layers(config)];

    /// <summary>One line for each rank below 1, or beyond what any layer has directions for: its pairs would fill the memory.</summary>
    public static IEnumerable<string> Ranks(LoraConfig config) => [.. Rank(config), .. RankPattern(config)];

    private static IEnumerable<string> Rank(LoraConfig config) => config.Rank is < 1 or > MostRank ? [$"r: found {config.Rank}, expected 1 to {MostRank}"] : [];

    private static IEnumerable<string> RankPattern(LoraConfig config) => config.RankPattern.Where(rank => rank.Value is < 1 or > MostRank)
        .Select(rank => $"rank_pattern[\"{rank.Key}\"]: found {rank.Value}, expected 1 to {MostRank}");

    /// <summary>One line for each alpha whose scale is no float32 number: changes are computed in float32.</summary>
    public static IEnumerable<string> Alphas(LoraConfig config)
    {
        bool IsTooLarge(ConfigNumber alpha) => Math.Abs(config.Scale(Math.Max(1, config.Rank), alpha.Value)) > float.MaxValue;
        const string Expected = "expected a number that scales changes (alpha / r) within float32, up to 3.4e38; usual are 1 to 2 times r";
        if (IsTooLarge(config.Alpha)) yield return $"lora_alpha: found {config.Alpha}, {Expected}";
        foreach ((string name, ConfigNumber alpha) in config.AlphaPattern.Where(alpha => IsTooLarge(alpha.Value))) yield return $"alpha_pattern[\"{name}\"]: found {alpha}, {Expected}";
    }

    private static IEnumerable<string> Values(LoraConfig config)
    {
        foreach (string problem in Rank(config)) yield return problem;
        if (config.Dropout.Value is < 0 or > 1) yield return $"lora_dropout: found {config.Dropout}, expected 0 to 1";
        foreach (string problem in RankPattern(config)) yield return problem;
        if (config.PeftType == "LORA" && config.UseDora && config.BiasOnB) yield return "lora_bias: found true beside use_dora; PEFT has no bias on B with DoRA. Choose one";
        if (config.TaskType is not null && !TaskTypes.Contains(config.TaskType))
            yield return $"task_type: found \"{config.TaskType}\", expected null or one of {string.Join(", ", TaskTypes)}";
        foreach (string typed in config.OtherKeys.Keys.Where(key => LoraConfigValues.HasProperty(config.PeftType, key)))
            yield return $"{typed}: stands among the other keys; set the property of LoraConfig instead";
    }

    private static IEnumerable<string> Layers(LoraConfig config)
    {
        bool isPattern = config.TargetModules?.Text is not null;
        if (config.LayersToTransform is { } layers)
        {
            if (isPattern)
                yield return $"layers_to_transform: found {layers} beside the text target_modules {config.TargetModules}; it works with a list of names only. "
                    + "List the modules, or put the layer numbers into the expression";
            foreach (int layer in layers.Layers.Where(layer => layer < 0))
                yield return $"layers_to_transform: found {layer}, expected layer numbers from 0";
        }
        if (config.LayersPattern is null) yield break;
        if (isPattern)
            yield return $"layers_pattern: found {config.LayersPattern} beside the text target_modules {config.TargetModules}; it works with a list of names only";
        else if (config.LayersToTransform is null && !config.LayersPattern.IsEmpty)
            yield return $"layers_pattern: found {config.LayersPattern} without layers_to_transform; give the layer numbers too, or leave it out";
    }
}
