using System.Text.Json;
using LowRank.Adapters;
using LowRank.Adapters.Json;

namespace LowRank;

/// <summary>What is trained, as a recipe has it: a method with its own settings and the settings that methods share,
/// found from an adapter's config record, or from a method that a program names itself.</summary>
internal sealed class AdaptedMethod
{
    private const string OwnSettings = "adapter.method_options";

    // Keys, of PEFT's files or of a method's settings, whose property has another name.
    private static readonly Dictionary<string, string> OtherNames = new()
    {
        ["base_model_name_or_path"] = nameof(AdapterConfig.BaseModel),
        ["target_r"] = nameof(AdaLoraConfig.TargetRank),
        ["total_step"] = nameof(AdaLoraConfig.TotalSteps),
        ["rank_pattern"] = nameof(AdaLoraConfig.KeptDirections), // LoRA's patterns are a recipe's too, and never lost
        ["projection_seed"] = nameof(VeraConfig.ProjectionPrngKey),
        ["virtual_tokens"] = nameof(PromptConfig.NumVirtualTokens),
        ["init_r"] = nameof(AdaLoraConfig.InitialRank),
        ["initial"] = nameof(PromptTuningConfig.PromptTuningInit),
        ["initial_text"] = nameof(PromptTuningConfig.PromptTuningInitText),
        ["iterations"] = nameof(LoraConfig.InitLoraWeights),
        ["r"] = nameof(LowRankConfig.Rank),
    };

    // Keys that follow from the model and the run: a config may repeat what they will be.
    private static readonly HashSet<string> Following =
    [
        PeftKeys.FanInFanOut.Name, "task_type", "num_attention_heads", "num_layers", "num_transformer_submodules",
        "token_dim", "encoder_hidden_size", "total_step",
    ];

    private readonly AdapterConfig config;
    private readonly bool isNamed;

    private AdaptedMethod(AdapterConfig config, IAdapterMethod method, LoraConfig shared, bool isNamed)
    {
        (this.config, Method, Shared, this.isNamed) = (config, method, shared, isNamed);
        Options = [.. method.Options.Select(option => KeyValuePair.Create(option, option.Get(method)))
            .Where(option => option.Value is not null && !Equals(option.Value, option.Key.Default))
            .Select(option => KeyValuePair.Create(option.Key.Name, option.Value!))];
    }

    /// <summary>The method.</summary>
    public IAdapterMethod Method { get; }

    /// <summary>What it shares with others, as LoRA has it.</summary>
    public LoraConfig Shared { get; }

    /// <summary>Its own settings that differ from their defaults, by name.</summary>
    public IReadOnlyList<KeyValuePair<string, object>> Options { get; }

    /// <summary>Finds the method.</summary>
    /// <param name="adapter">The adapter's config; null for none.</param>
    /// <param name="training">Which may name the method itself.</param>
    /// <exception cref="InputException">The two do not go together, a property is null, or no method makes such a
    /// config.</exception>
    public static AdaptedMethod From(AdapterConfig? adapter, TrainingOptions training)
    {
        if (adapter is not null) RequireValues(adapter);
        if (training.StartFrom is not null && adapter is not null)
            throw new InputException(
                "TrainingOptions.StartFrom begins from an adapter, whose own settings hold. Give no " +
                $"{adapter.GetType().Name} beside it.");
        if (training.Method is not { } method) return Of(adapter ?? new LoraConfig());
        if (adapter is not null and not LoraConfig)
            throw new InputException(
                $"TrainingOptions.Method is {method.Name}, which takes rank, alpha and modules of a LoraConfig. " +
                $"Found {adapter.GetType().Name}. Leave out one of the two; a method's own settings are its " +
                "properties.");
        LoraConfig shared = adapter as LoraConfig ?? new LoraConfig
        {
            Rank = method.DefaultRank, Alpha = method.DefaultAlpha,
        };
        shared = (LoraConfig)WithoutOrigin(shared);
        return new AdaptedMethod(
            Plain(method.Configure(Plain(shared))), method, (LoraConfig)Expressed(shared), isNamed: true);
    }

    /// <summary>What in code is a recipe's key; null where it is no setting of the adapter.</summary>
    public string? NameOf(string key)
    {
        string record = config.GetType().Name;
        if (key == "adapter.method")
            return isNamed ? "TrainingOptions.Method"
                : config is not LoraConfig lora ? $"{record}.{nameof(AdapterConfig.PeftType)}"
                : lora.UseDora ? "LoraConfig.UseDora" : "LoraConfig.InitLoraWeights";
        if (key.StartsWith(OwnSettings, StringComparison.Ordinal))
        {
            string name = key[OwnSettings.Length..].TrimStart('.');
            string owner = Method switch
            {
                _ when isNamed => "TrainingOptions.Method",
                EvaMethod => nameof(EvaConfig),
                CordaMethod => nameof(CordaConfig),
                LoraGaMethod => nameof(LoraGaConfig),
                _ => record,
            };
            return name.Length == 0 ? owner : isNamed ? $"{owner}.{Pascal(name)}" : $"{owner}.{Property(name)}";
        }
        return AdaptationRecipe.Options.GetValueOrDefault(key) is { } option
            && option.StartsWith("LoraConfig.", StringComparison.Ordinal) && !isNamed
            ? record + option["LoraConfig".Length..] : null;
    }

    /// <summary>Each property that neither a method nor a recipe has a setting for, with its value and the one that the
    /// adapter would have.</summary>
    public IReadOnlyList<string> Lost()
    {
        if (!AdapterMethods.Names.Contains(Method.Name)) return []; // the recipe says so
        return Differences(
            AdapterMethods.Get(Method.Name)
                .With(Options.ToDictionary(option => option.Key, option => (object?)option.Value)).Configure(Shared),
            key => !Following.Contains(key), "which an adaptation has no setting for: the adapter would have");
    }

    /// <summary>Requires that the adapter is as the config says of what follows from the model.</summary>
    /// <param name="made">The adapter's config; null where no new one was made.</param>
    /// <param name="steps">The run's steps.</param>
    /// <exception cref="InputException">It is not: all differences at once.</exception>
    public void RequireMade(AdapterConfig? made, long steps)
    {
        if (made is null || made.GetType() != config.GetType()) return;
        if (made is AdaLoraConfig untrained) made = untrained with { TotalSteps = checked((int)steps) };
        IReadOnlyList<string> different = Differences(
            made, Following.Contains, "which follows from the model and the run: the adapter has");
        if (different.Count > 0) throw new InputException("The adapter's config does not fit the model:", different);
    }

    private List<string> Differences(AdapterConfig made, Func<string, bool> isCompared, string why)
    {
        IReadOnlyDictionary<string, JsonElement> asked = config.Values(), other = made.Values();
        string record = config.GetType().Name;
        List<string> differences = [];
        foreach ((string key, JsonElement value) in asked.OrderBy(value => value.Key, StringComparer.Ordinal))
        {
            // What is left out is left to the model.
            if (!isCompared(key) || (Following.Contains(key)
                && value.ValueKind is JsonValueKind.Null or JsonValueKind.False)) continue;
            bool isKnown = other.TryGetValue(key, out JsonElement had);
            if (isKnown && JsonElement.DeepEquals(value, had)) continue;
            string name = config.OtherKeys.ContainsKey(key) ? $"{nameof(config.OtherKeys)}[\"{key}\"]" : Property(key);
            differences.Add($"{record}.{name} is {JsonShapes.Brief(value)}, {why} " +
                $"{(isKnown ? JsonShapes.Brief(had) : "none")}. Leave it out.");
        }
        return differences;
    }

    private static AdaptedMethod Of(AdapterConfig adapter)
    {
        AdapterConfig config = Plain(WithoutOrigin(adapter));
        // LoRA says itself what is wrong with an unknown start.
        IAdapterMethod method = AdapterMethods.For(config) ?? (config is LoraConfig ? new LoraMethod() : null)
            ?? throw new InputException(
                $"No adapter method is known to make a {adapter.GetType().Name}. Register one that does " +
                $"({nameof(AdapterMethods)}.{nameof(AdapterMethods.Register)}) and says so " +
                $"({nameof(IAdapterMethod)}.{nameof(IAdapterMethod.For)}), or give it as TrainingOptions.Method.");
        return new AdaptedMethod(config, method, (LoraConfig)Expressed(Shares(config)), isNamed: false);
    }

    private static void RequireValues(AdapterConfig config)
    {
        OptionProblems problems = new(config.GetType().Name);
        problems.Require(nameof(config.OtherKeys), config.OtherKeys);
        if (config is LowRankConfig pair)
        {
            problems.Require(nameof(pair.RankPattern), pair.RankPattern);
            problems.Require(nameof(pair.AlphaPattern), pair.AlphaPattern);
        }
        if (config is LoraConfig lora) problems.Require(nameof(lora.InitLoraWeights), lora.InitLoraWeights);
        if (config is AdaLoraConfig ada) problems.Require(nameof(ada.InitLoraWeights), ada.InitLoraWeights);
        if (config is LoKrConfig loKr) problems.Require(nameof(loKr.InitWeights), loKr.InitWeights);
        problems.ThrowIfAny();
    }

    // Where a config comes from, and what training found, say nothing about a new adapter.
    private static AdapterConfig WithoutOrigin(AdapterConfig config)
    {
        config = config with
        {
            BaseModel = null, Revision = null, PeftVersion = AdapterConfig.FormatVersion,
            AsRead = new Dictionary<string, JsonElement>(),
        };
        return config is AdaLoraConfig trained ? trained with { KeptDirections = new AdaLoraConfig().KeptDirections }
            : config;
    }

    // One way to write what can be written in several.
    private static AdapterConfig Plain(AdapterConfig config) => config switch
    {
        LoraConfig { InitLoraWeights: { Text: not null, Name: var start } } lora => Listed(lora with
        {
            InitLoraWeights = InitialWeights.Parse(start),
            EvaConfig = lora.EvaConfig ?? (start == "eva" ? new EvaConfig() : null),
            CordaConfig = lora.CordaConfig ?? (start == "corda" ? new CordaConfig() : null),
            LoraGaConfig = lora.LoraGaConfig ?? (start == "lora_ga" ? new LoraGaConfig() : null),
        }),
        // Its rank only says what the other two are where they are not given.
        AdaLoraConfig { TargetRank: { } last } adaLora when adaLora.InitialRank is null
            || adaLora.Rank == new AdaLoraConfig().Rank => Listed(adaLora with
            {
                Rank = last, TargetRank = null, InitialRank = adaLora.FirstRank,
            }),
        _ => Listed(config),
    };

    private static LoraConfig Plain(LoraConfig config) => (LoraConfig)Plain((AdapterConfig)config);

    private static AdapterConfig Listed(AdapterConfig config) => config.LayersToTransform is { IsList: false } layers
        ? config with { LayersToTransform = [.. layers.Layers] } : config;

    // What a record has in common with LoRA's.
    private static LoraConfig Shares(AdapterConfig config)
    {
        var shared = (LoraConfig)new LoraConfig().WithModulesOf(config);
        if (config is LowRankConfig pair)
            shared = shared with
            {
                Rank = pair.Rank, Alpha = pair.Alpha, RankPattern = pair.RankPattern, AlphaPattern = pair.AlphaPattern,
            };
        return config switch
        {
            LoraConfig lora => lora,
            AdaLoraConfig c => shared with
            {
                Dropout = c.Dropout, Bias = c.Bias, UseRsLora = c.UseRsLora, EnsureWeightTying = c.EnsureWeightTying,
                InitLoraWeights = c.InitLoraWeights,
            },
            VeraConfig c => shared with { Rank = c.Rank, Dropout = c.Dropout, Bias = c.Bias },
            _ => shared,
        };
    }

    // Of LoRA's settings those that a recipe has keys for, as it writes them.
    private static AdapterConfig Expressed(LoraConfig config) => Listed(new LoraConfig
    {
        Rank = config.Rank,
        Alpha = config.Alpha,
        Dropout = config.Dropout,
        Bias = config.Bias,
        UseRsLora = config.UseRsLora,
        TargetModules = config.TargetModules,
        ExcludeModules = config.ExcludeModules,
        LayersToTransform = config.LayersToTransform,
        LayersPattern = config.LayersPattern is { Names: null } ? config.LayersPattern : null,
        RankPattern = config.RankPattern,
        AlphaPattern = config.AlphaPattern,
        ModulesToSave = config.ModulesToSave,
        EnsureWeightTying = config.EnsureWeightTying,
        LoraBias = config.LoraBias,
        TrainableTokenIndices = config.TrainableTokenIndices is { } tokens
            ? [KeyValuePair.Create<string?, IReadOnlyList<int>>(null, [.. tokens.SelectMany(ids => ids.Value)])] : null,
        InitLoraWeights = config.InitLoraWeights.Name switch
        {
            "false" => InitialWeights.False, "gaussian" => InitialWeights.Gaussian, _ => InitialWeights.True,
        },
    });

    private static string Property(string key) => OtherNames.GetValueOrDefault(key) ?? Pascal(key);

    private static string Pascal(string key) =>
        string.Concat(key.Split('_').Select(word => char.ToUpperInvariant(word[0]) + word[1..]));
}
