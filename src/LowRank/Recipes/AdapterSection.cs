using LowRank.Adapters;
using LowRank.Adapters.Files;
using static LowRank.Recipes.KeyTypes;

namespace LowRank.Recipes;

/// <summary>The recipe's <c>adapter</c> section: what is trained.</summary>
public sealed record AdapterSection
{
    /// <summary>The word for training every weight of the model, in place of a method's name.</summary>
    public const string Full = "full";

    /// <summary>The adaptation method with its own settings, such as <c>new LoraPlusMethod { Ratio = 8 }</c>; null
    /// trains every weight of the model. Default: LoRA.</summary>
    public IAdapterMethod? Method { get; init; } = new LoraMethod();

    /// <summary>Rank, alpha, modules and the other settings that methods share, as LoRA has them; a method uses those
    /// that it has (<see cref="IAdapterMethod.Keys"/>).</summary>
    public LoraConfig Config { get; init; } = new();

    /// <summary>Texts of tokens to add to the vocabulary and train; null for none.</summary>
    public IReadOnlyList<string>? NewTokens { get; init; }

    /// <summary>The method's name, or <see cref="Full"/>.</summary>
    public string MethodName => Method?.Name ?? Full;
}

/// <summary>The keys of <c>adapter</c>. Each has an effect with the methods that support it. With
/// <c>training.init_adapter</c>, the adapter's own settings apply, and a key is accepted if it agrees with
/// them.</summary>
internal static class AdapterKeys
{
    /// <summary>The section of the method's own settings.</summary>
    public const string Options = "adapter.method_options";

    private static readonly KeySection<AdapterSection> At =
        new("adapter", recipe => recipe.Adapter, (recipe, a) => recipe with { Adapter = a });

    private static readonly OrderedDictionary<string, BiasTraining> Biases = new()
    {
        ["none"] = BiasTraining.None, ["all"] = BiasTraining.All, ["lora_only"] = BiasTraining.Adapted,
    };

    public static IReadOnlyList<RecipeKey> All { get; } =
    [
        At.Always("method", OneOf(() => [.. AdapterMethods.Names, AdapterSection.Full]),
            "a method of [methods.md](methods.md), or `full` for every weight", a => a.MethodName,
            (a, name) => a with { Method = name == AdapterSection.Full ? null : AdapterMethods.Get(name) }),
        Key("rank", Count(least: 1), "rank of the pairs A and B",
            c => c.Rank, (c, rank) => c with { Rank = rank },
            new("r") { IsOfTargets = true },
            otherwise: a => a.Method?.DefaultRank ?? a.Config.Rank) with
            {
                Default = "the method's, 8 for LoRA",
                Hint = "more rank means more trained weights; 8 to 32 suits most tasks",
            },
        Key("alpha", Number(above: true), "the change is scaled by alpha / rank",
            c => c.Alpha.Value, (c, alpha) => c with { Alpha = Exact(alpha) },
            new("lora_alpha", "alpha") { IsOfTargets = true },
            otherwise: a => a.Method?.DefaultAlpha ?? a.Config.Alpha.Value) with
            { Default = "the method's, 16 for LoRA", Hint = "the change is scaled by alpha / rank" },
        Key("dropout", Number(below: 1), "dropout on the input of A",
            c => c.Dropout, (c, share) => c with { Dropout = share }, new("lora_dropout", "vera_dropout"),
            unless: c => c.Adapter.Config.Dropout > 0 ? ObjectiveKeys.OfTexts(c) : null)
            with { Hint = "raise it if there is little data and the held-out loss rises" },
        Key("target_modules", Modules, "list of names, regular expression for whole paths, or `all-linear`",
            c => Written(c.TargetModules), (c, modules) => c with { TargetModules = modules },
            new("target_modules") { IsOfTargets = true, IsSet = true }) with
            {
                Default = "the model type's default",
                Hint = "default: the model type's layers; all-linear: every linear layer except the head",
            },
        Key("exclude_modules", Modules, "list of names or regular expression; takes precedence over `target_modules`",
            c => Written(c.ExcludeModules), (c, modules) => c with { ExcludeModules = modules },
            new("exclude_modules") { IsOfTargets = true, IsSet = true }),
        Key("bias", OneOf([.. Biases.Keys]), "biases to train as well: `none`, `all`, `lora_only`",
            c => Written(c.Bias), (c, word) => c with { Bias = Biases[word] },
            new("bias"),
            unlessPrepared: NoBias),
        Key("use_rslora", Flag, "scale alpha / √rank (arXiv 2312.03732)",
            c => c.UseRsLora, (c, flag) => c with { UseRsLora = flag },
            new("use_rslora") { IsOfTargets = true }),
        Key("layers_to_transform", Wholes, "layer number or list of layer numbers",
            c => c.LayersToTransform?.Layers, (c, layers) => c with { LayersToTransform = [.. layers] },
            new("layers_to_transform") { IsOfTargets = true, IsSet = true },
            unless: c => c.Adapter.Config is { LayersToTransform: not null, TargetModules.Text: { } pattern }
                && pattern != ModuleSelection.AllLinearText
                ? $"does not go with a regular expression in {c["adapter.target_modules"]}; put the layers into the " +
                    "expression" : null)
            with { Default = "all" },
        Key("layers_pattern", KeyTypes.Text, "name of the list of layers in module paths",
            c => Written(c.LayersPattern), (c, name) => c with { LayersPattern = ModuleSelection.Pattern(name) },
            new("layers_pattern") { IsOfTargets = true, IsSet = true },
            unless: c => c.Adapter.Config.LayersToTransform is null
                ? $"has no effect without {c["adapter.layers_to_transform"]}; add that or remove this" : null)
            with { Default = "recognised" },
        Key("rank_pattern", Ranks, "map of module name or pattern to rank",
            c => c.RankPattern,
            (c, ranks) => c with { RankPattern = new OrderedDictionary<string, int>(ranks) },
            new("rank_pattern") { IsOfTargets = true }),
        Key("alpha_pattern", Alphas, "map of module name or pattern to alpha",
            c => c.AlphaPattern.ToDictionary(alpha => alpha.Key, alpha => alpha.Value.Value),
            (c, alphas) => c with { AlphaPattern = Exact(alphas) },
            new("alpha_pattern") { IsOfTargets = true }),
        Key("init_lora_weights", OneOf("true", "false", "gaussian"),
            "`true`: A uniform, B zero; `gaussian`: A normal, B zero; `false`: both random",
            c => c.InitLoraWeights.Name, (c, word) => c with { InitLoraWeights = Start(word) },
            new("init_lora_weights", "init_weights", "init_ia3_weights")),
        Key("modules_to_save", Texts,
            "names of modules to train in full beside the pairs; a name matches every module whose path ends with it",
            c => c.ModulesToSave, (c, names) => c with { ModulesToSave = names },
            new("modules_to_save") { Complete = (asked, own, network) => asked with
                { ModulesToSave = SavedModules.ForNew(asked with { TaskType = own.TaskType }, network) } })
            with { Default = "the task's head" },
        Key("ensure_weight_tying", Flag,
            "if the embedding and the output head share one weight, adapting or fully training one changes both " +
            "(PEFT's `ensure_weight_tying`); false changes only the named one",
            c => c.EnsureWeightTying, (c, flag) => c with { EnsureWeightTying = flag },
            new("ensure_weight_tying")),
        Key("lora_bias", Flag, "a bias on B (PEFT's `lora_bias`)",
            c => c.LoraBias, (c, flag) => c with { LoraBias = flag }, new("lora_bias")),
        Key("trainable_token_indices", Wholes,
            "ids of tokens whose embedding rows are trained directly (also in the head, if it is tied)",
            c => c.TrainableTokenIndices?[0].Value,
            (c, ids) => c with { TrainableTokenIndices = [new KeyValuePair<string?, IReadOnlyList<int>>(null, ids)] },
            new("trainable_token_indices")),
        Conditional(At.Key("new_tokens", Texts,
            "tokens to add to the vocabulary and train; the extended tokenizer is saved in the adapter's folder",
            a => a.NewTokens, (a, tokens) => a with { NewTokens = tokens }))
            with { UnlessPrepared = [StartedAdapter.LacksTokens] },
        At.Section("method_options", "section for the method's own settings, listed in [methods.md](methods.md)") with
        {
            Default = "the method's",
            Unless = [WithFull],
        },
    ];

    /// <summary>The keys of <see cref="Options"/>, for all methods that are registered now.</summary>
    public static IReadOnlyList<RecipeKey> OfMethods() =>
        [.. AdapterMethods.All.SelectMany(method => method.Options).DistinctBy(option => option.Name).Select(Option)];

    private static RecipeKey Key<T>(string name, KeyType<T> type, string meaning, Func<LoraConfig, object?> written,
        Func<LoraConfig, T, LoraConfig> read, OwnSetting own, Func<AdapterSection, T>? otherwise = null,
        Func<RecipeChoices, string?>? unless = null, Func<PreparedChoices, string?>? unlessPrepared = null)
    {
        RecipeKey key = Conditional(At.Key(name, type, meaning, a => written(a.Config),
            (a, value) => a with { Config = read(a.Config, value) },
            otherwise is null ? null : recipe => otherwise(recipe.Adapter)));
        return key with
        {
            Unless = [.. key.Unless, .. unless is null ? [] : new[] { unless }],
            UnlessPrepared =
                [c => StartedAdapter.Differs(c, own), .. unlessPrepared is null ? [] : new[] { unlessPrepared }],
        };
    }

    // Methods have some of the keys, and an adapter to start from has its own settings.
    private static RecipeKey Conditional(RecipeKey key) => key with
    {
        IsWritten = recipe => recipe.Training.InitAdapter is null,
        Unless = [WithFull, c => c.Adapter.Method is { } method ? InMethod(c, key.Name, method) : null],
    };

    private static string? WithFull(RecipeChoices choices) =>
        choices.Adapter.Method is null ? $"has no effect with {choices["adapter.method"]}: full; remove it" : null;

    private static string? InMethod(RecipeChoices c, string name, IAdapterMethod method) =>
        method.Keys.Contains(name) ? null : NotOf(c, method, method.Keys);

    private static string NotOf(RecipeChoices c, IAdapterMethod method, IEnumerable<string> known)
    {
        string names = string.Join(", ", known);
        string which = names.Length == 0 ? "" : $", which has {names}";
        return $"has no effect with {c["adapter.method"]}: {method.Name}{which}; remove it";
    }

    private static string? NoBias(PreparedChoices choices)
    {
        BiasTraining asked = choices.Recipe.Adapter.Config.Bias;
        if (asked == BiasTraining.None || choices.Adapter is not { } adapter || choices.StartFolder is not null)
            return null;
        bool trains = adapter.Parts.OfType<TrainedParameter>().Any(part =>
            PeftTensorKeys.Parse(part.Key)?.Part is AdapterTensorPart.Bias or AdapterTensorPart.AdaptedBias);
        return trains ? null : asked == BiasTraining.All ? "is all, and the base has no biases; set it to none"
            : $"is lora_only, and none of the {adapter.Layers.Count} adapted modules has a bias; set it to none";
    }

    // Several methods may have the same key with different types: the first one's is in the schema.
    private static RecipeKey Option(MethodOption first)
    {
        var key = new RecipeKey(Options, first.Name, ""); // docs/methods.md says what each means
        return key with
        {
            Schema = OptionType(first).Schema,
            Read = (recipe, given) => recipe.Adapter is { Method: { } method } adapter
                && Own(adapter, key) is { } option && OptionType(option).TryRead(given, out object? value)
                    ? recipe with { Adapter = adapter with { Method = option.Set(method, value) } } : recipe,
            Written = recipe => Own(recipe.Adapter, key)?.Get(recipe.Adapter.Method!),
            // An adapter to start from has its own settings; those of its training are still the recipe's.
            IsWritten = recipe => Own(recipe.Adapter, key) is { } option
                && (recipe.Training.InitAdapter is null || (recipe.Given?.ContainsKey(key.Full)
                    ?? !Equals(option.Get(recipe.Adapter.Method!), option.Default))),
            Unless = [c => c.Adapter.Method is not { } method ? null // said of the whole section
                : Own(c.Adapter, key) is { } option ? option.Unless?.Invoke(method)
                : NotOf(c, method, method.Options.Select(known => known.Name))],
            UnlessPrepared = [c => StartedAdapter.OptionDiffers(c, key.Name)],
        };
    }

    private static MethodOption? Own(AdapterSection adapter, RecipeKey key) =>
        adapter.Method?.Options.FirstOrDefault(option => option.Name == key.Name);

    private static object? Written(ModuleSelection? selection) => (object?)selection?.Names ?? selection?.Text;

    private static string Written(BiasTraining bias) => Biases.Single(word => word.Value == bias).Key;

    private static InitialWeights Start(string word) => word switch
    {
        "true" => InitialWeights.True,
        "false" => InitialWeights.False,
        _ => InitialWeights.Parse(word),
    };

    // An integral alpha is written as an integer, as PEFT's users do.
    private static ConfigNumber Exact(double value) => value == Math.Floor(value) && value < int.MaxValue
        ? ConfigNumber.FromInt32((int)value) : ConfigNumber.FromDouble(value);

    private static OrderedDictionary<string, ConfigNumber> Exact(IReadOnlyDictionary<string, double> values) =>
        new(values.Select(value => KeyValuePair.Create(value.Key, Exact(value.Value))));

    private static KeyType<object?> OptionType(MethodOption option) => option.Default switch
    {
        int => Count((int)option.Least, (int)Math.Min(int.MaxValue, option.Most)).As(whole => (object?)whole),
        double => Number(option.Least, Math.BitIncrement(option.Most)).As(number => (object?)number) with
            {
                // The maximum itself is allowed.
                Schema = new KeySchema
                {
                    Type = "number", Least = option.Least,
                    Most = double.IsPositiveInfinity(option.Most) ? null : option.Most,
                },
            },
        bool => Flag.As(flag => (object?)flag),
        string when option.Choices is { } choices => OneOf([.. choices]).As(text => (object?)text),
        _ when option.Type == typeof(IReadOnlyList<string>) => Texts.As(texts => (object?)texts),
        _ => KeyTypes.Text.As(text => (object?)text) with
            {
                Schema = new KeySchema
                {
                    Type = "string", ChoicesNow = option.Choices is null ? null : () => option.Choices,
                },
            },
    };
}
