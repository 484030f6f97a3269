using LowRank.Adapters;
using LowRank.Adapters.Files;
using static LowRank.Recipes.KeyTypes;

namespace LowRank.Recipes;

/// <summary>The recipe's <c>adapter</c> section: what is trained.</summary>
public sealed record AdapterSection
{
    /// <summary>The adaptation method, one of <see cref="LowRank.Adapters.AdapterMethods.Names"/>, or "full" for every
    /// weight of the model.</summary>
    public string Method { get; init; } = "lora";

    /// <summary>Rank of the pairs.</summary>
    public int Rank { get; init; } = new LoraConfig().Rank;

    /// <summary>Scale of the adapter: alpha / rank, or alpha / √rank with <see cref="UseRsLora"/>.</summary>
    public double Alpha { get; init; } = new LoraConfig().Alpha.Value;

    /// <summary>Dropout on the input of A.</summary>
    public double Dropout { get; init; }

    /// <summary>Names of modules; null, with <see cref="TargetPattern"/> null, uses the model type's default.</summary>
    public IReadOnlyList<string>? TargetModules { get; init; }

    /// <summary>A regular expression for full module paths, or "all-linear".</summary>
    public string? TargetPattern { get; init; }

    /// <summary>Names of modules to leave out.</summary>
    public IReadOnlyList<string>? ExcludeModules { get; init; }

    /// <summary>A regular expression for full paths of modules to leave out.</summary>
    public string? ExcludePattern { get; init; }

    /// <summary>Which biases are trained: "none", "all" or "lora_only".</summary>
    public string Bias { get; init; } = "none";

    /// <summary>Rank-stabilised scale (arXiv 2312.03732).</summary>
    public bool UseRsLora { get; init; }

    /// <summary>Indices of the layers to adapt; null for all.</summary>
    public IReadOnlyList<int>? LayersToTransform { get; init; }

    /// <summary>Name of the list of layers in module paths; null detects it.</summary>
    public string? LayersPattern { get; init; }

    /// <summary>Ranks of modules that differ from the default, by name or regular expression.</summary>
    public IReadOnlyDictionary<string, int> RankPattern { get; init; } = new Dictionary<string, int>();

    /// <summary>Alphas of modules that differ from the default, by name or regular expression.</summary>
    public IReadOnlyDictionary<string, double> AlphaPattern { get; init; } = new Dictionary<string, double>();

    /// <summary>Names of modules that are trained whole in addition to the pairs; a task head always is.</summary>
    public IReadOnlyList<string>? ModulesToSave { get; init; }

    /// <summary>Whether the embedding and an output head that shares its weight are changed alike if one is adapted or
    /// saved whole.</summary>
    public bool EnsureWeightTying { get; init; }

    /// <summary>Whether B has a bias.</summary>
    public bool LoraBias { get; init; }

    /// <summary>Ids of tokens whose embedding rows are trained directly; null for none.</summary>
    public IReadOnlyList<int>? TrainableTokenIndices { get; init; }

    /// <summary>Texts of tokens to add to the vocabulary and train; null for none.</summary>
    public IReadOnlyList<string>? NewTokens { get; init; }

    /// <summary>The given settings of the method itself, by name.</summary>
    public IReadOnlyDictionary<string, object?> MethodOptions { get; init; } = new Dictionary<string, object?>();

    /// <summary>"true", "false" or "gaussian".</summary>
    public string InitLoraWeights { get; init; } = "true";
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

    public static IReadOnlyList<RecipeKey> All { get; } =
    [
        At.Always("method", OneOf(() => [.. AdapterMethods.Names, "full"]),
            "a method of [methods.md](methods.md), or `full` for every weight",
            a => a.Method, (a, method) => a with { Method = method }),
        Key("rank", Count(least: 1), "rank of the pairs A and B",
            a => a.Rank, (a, rank) => a with { Rank = rank },
            new("r") { IsOfTargets = true },
            otherwise: r => Method(r)?.DefaultRank ?? r.Adapter.Rank) with
            {
                Default = "the method's, 8 for LoRA",
                Hint = "more rank means more trained weights; 8 to 32 suits most tasks",
            },
        Key("alpha", Number(above: true), "the change is scaled by alpha / rank",
            a => a.Alpha, (a, alpha) => a with { Alpha = alpha },
            new("lora_alpha", "alpha") { IsOfTargets = true },
            otherwise: r => Method(r)?.DefaultAlpha ?? r.Adapter.Alpha) with
            { Default = "the method's, 16 for LoRA", Hint = "the change is scaled by alpha / rank" },
        Key("dropout", Number(below: 1), "dropout on the input of A",
            a => a.Dropout, (a, share) => a with { Dropout = share }, new("lora_dropout", "vera_dropout"))
            with { Hint = "raise it if there is little data and the held-out loss rises" },
        Key("target_modules", Modules, "list of names, regular expression for whole paths, or `all-linear`",
            a => (object?)a.TargetModules ?? a.TargetPattern,
            (a, modules) => a with { TargetModules = modules.Names, TargetPattern = modules.Pattern },
            new("target_modules") { IsOfTargets = true, IsSet = true }) with
            {
                Default = "the model type's default",
                Hint = "default: the model type's layers; all-linear: every linear layer except the head",
            },
        Key("exclude_modules", Modules, "list of names or regular expression; takes precedence over `target_modules`",
            a => (object?)a.ExcludeModules ?? a.ExcludePattern,
            (a, modules) => a with { ExcludeModules = modules.Names, ExcludePattern = modules.Pattern },
            new("exclude_modules") { IsOfTargets = true, IsSet = true }),
        Key("bias", OneOf("none", "all", "lora_only"), "biases to train as well: `none`, `all`, `lora_only`",
            a => a.Bias, (a, word) => a with { Bias = word },
            new("bias"),
            unlessPrepared: NoBias),
        Key("use_rslora", Flag, "scale alpha / √rank (arXiv 2312.03732)",
            a => a.UseRsLora, (a, flag) => a with { UseRsLora = flag },
            new("use_rslora") { IsOfTargets = true }),
        Key("layers_to_transform", Wholes, "layer number or list of layer numbers",
            a => a.LayersToTransform, (a, layers) => a with { LayersToTransform = layers },
            new("layers_to_transform") { IsOfTargets = true, IsSet = true },
            unless: c => c.Adapter is { LayersToTransform: not null, TargetPattern: { } pattern }
                && pattern != ModuleSelection.AllLinearText
                ? "does not go with a regular expression in adapter.target_modules; put the layers into the expression"
                : null)
            with { Default = "all" },
        Key("layers_pattern", KeyTypes.Text, "name of the list of layers in module paths",
            a => a.LayersPattern, (a, name) => a with { LayersPattern = name },
            new("layers_pattern") { IsOfTargets = true, IsSet = true },
            unless: c => c.Adapter.LayersToTransform is null
                ? "has no effect without adapter.layers_to_transform; add that or remove this" : null)
            with { Default = "recognised" },
        Key("rank_pattern", Ranks, "map of module name or pattern to rank",
            a => a.RankPattern, (a, ranks) => a with { RankPattern = ranks },
            new("rank_pattern") { IsOfTargets = true }),
        Key("alpha_pattern", Alphas, "map of module name or pattern to alpha",
            a => a.AlphaPattern, (a, alphas) => a with { AlphaPattern = alphas },
            new("alpha_pattern") { IsOfTargets = true }),
        Key("init_lora_weights", OneOf("true", "false", "gaussian"),
            "`true`: A uniform, B zero; `gaussian`: A normal, B zero; `false`: both random",
            a => a.InitLoraWeights, (a, word) => a with { InitLoraWeights = word },
            new("init_lora_weights", "init_weights", "init_ia3_weights")),
        Key("modules_to_save", Texts,
            "names of modules to train in full beside the pairs; a name matches every module whose path ends with it",
            a => a.ModulesToSave, (a, names) => a with { ModulesToSave = names },
            new("modules_to_save") { Complete = (asked, own, network) => asked with
                { ModulesToSave = SavedModules.ForNew(asked with { TaskType = own.TaskType }, network) } })
            with { Default = "the task's head" },
        Key("ensure_weight_tying", Flag,
            "if the embedding and the output head share one weight, adapting or fully training one changes both " +
            "(PEFT's `ensure_weight_tying`); false changes only the named one",
            a => a.EnsureWeightTying, (a, flag) => a with { EnsureWeightTying = flag },
            new("ensure_weight_tying")),
        Key("lora_bias", Flag, "a bias on B (PEFT's `lora_bias`)",
            a => a.LoraBias, (a, flag) => a with { LoraBias = flag }, new("lora_bias")),
        Key("trainable_token_indices", Wholes,
            "ids of tokens whose embedding rows are trained directly (also in the head, if it is tied)",
            a => a.TrainableTokenIndices, (a, ids) => a with { TrainableTokenIndices = ids },
            new("trainable_token_indices")),
        Key("new_tokens", Texts,
            "tokens to add to the vocabulary and train; the extended tokenizer is saved in the adapter's folder",
            a => a.NewTokens, (a, tokens) => a with { NewTokens = tokens }, own: null,
            unlessPrepared: StartedAdapter.LacksTokens),
        At.Section("method_options", "section for the method's own settings, listed in [methods.md](methods.md)") with
        {
            Default = "the method's",
            Unless = [c => c.Adapter.Method == "full" ? "has no effect with adapter.method: full; remove it" : null],
        },
    ];

    /// <summary>Keys of <see cref="Options"/>, for all methods.</summary>
    public static IReadOnlyList<RecipeKey> OfMethods { get; } =
        [.. AdapterMethods.All.SelectMany(method => method.Options).DistinctBy(option => option.Name).Select(Option)];

    private static RecipeKey Key<T>(string name, KeyType<T> type, string meaning, Func<AdapterSection, object?> written,
        Func<AdapterSection, T, AdapterSection> read, OwnSetting? own, Func<Recipe, T>? otherwise = null,
        Func<RecipeChoices, string?>? unless = null, Func<PreparedChoices, string?>? unlessPrepared = null) =>
        At.Key(name, type, meaning, written, read, otherwise) with
        {
            IsWritten = r => r.Training.InitAdapter is null, // an adapter to begin from has its own settings
            Unless =
            [
                c => c.Adapter.Method == "full" ? "has no effect with adapter.method: full; remove it"
                    : InMethod(name, AdapterMethods.Get(c.Adapter.Method)),
                .. unless is null ? [] : new[] { unless },
            ],
            UnlessPrepared = [c => own is null ? null : StartedAdapter.Differs(c, own), c => unlessPrepared?.Invoke(c)],
        };

    private static IAdapterMethod? Method(Recipe recipe) =>
        recipe.Adapter.Method == "full" ? null : AdapterMethods.Get(recipe.Adapter.Method);

    private static string? InMethod(string name, IAdapterMethod method) => method.Keys.Contains(name) ? null
        : "has no effect with adapter.method: " +
        $"{method.Name}{(method.Keys.Count == 0 ? "" : $", which has {string.Join(", ", method.Keys)}")}; remove it";

    private static string? NoBias(PreparedChoices choices)
    {
        if (choices.Recipe.Adapter.Bias == "none" || choices.Adapter is not { } adapter
            || choices.StartFolder is not null)
            return null;
        bool trains = adapter.Parts.OfType<TrainedParameter>()
            .Any(part => PeftTensorKeys.Parse(part.Key)?.Part is AdapterTensorPart.Bias
            or AdapterTensorPart.AdaptedBias);
        return trains ? null : choices.Recipe.Adapter.Bias == "all"
            ? "is all, and the base has no biases; set it to none"
            : $"is lora_only, and none of the {adapter.Layers.Count} adapted modules has a bias; set it to none";
    }

    // Several methods may have the same key with different types: the first one's is in the schema.
    private static RecipeKey Option(MethodOption first)
    {
        string name = first.Name;
        return new RecipeKey(Options, name, "") // docs/methods.md says what each means
        {
            Schema = OptionType(first).Schema,
            Read = (recipe, given) =>
                Own(recipe, name) is { } option && OptionType(option).TryRead(given, out object? value)
                    ? With(recipe, name, value) : recipe,
            Written = recipe => RecipeOptions.Method(recipe.Adapter) is var method
                ? method.Option(name).Get(method) : null,
            IsWritten = recipe => Own(recipe, name) is not null
                && (recipe.Training.InitAdapter is null || recipe.Adapter.MethodOptions.ContainsKey(name)),
            Unless = [c => WithoutOption(name, c)],
            UnlessPrepared = [c => StartedAdapter.OptionDiffers(c, name)],
        };
    }

    private static Recipe With(Recipe recipe, string name, object? value) => recipe with
    {
        Adapter = recipe.Adapter with
        {
            MethodOptions = new Dictionary<string, object?>(recipe.Adapter.MethodOptions) { [name] = value },
        },
    };

    private static MethodOption? Own(Recipe recipe, string name) =>
        Method(recipe)?.Options.FirstOrDefault(option => option.Name == name);

    private static string? WithoutOption(string name, RecipeChoices choices)
    {
        if (Method(choices.Recipe) is not { } method) return null; // said of the whole section
        if (Own(choices.Recipe, name) is { } option)
            return option.Unless?.Invoke(method.With(choices.Adapter.MethodOptions));
        string known = string.Join(", ", method.Options.Select(option => option.Name));
        return $"has no effect with adapter.method: {method.Name}{(known.Length == 0 ? "" : $", which has {known}")}; "
            + "remove it";
    }

    private static KeyType<object?> OptionType(MethodOption option) => option.Default switch
    {
        int => Count((int)option.Least, (int)Math.Min(int.MaxValue, option.Most)).As(whole => (object?)whole),
        // The maximum itself is allowed.
        double => Number(option.Least, double.IsPositiveInfinity(option.Most) ? option.Most
            : Math.BitIncrement(option.Most)).As(number => (object?)number) with
            { Schema = new KeySchema { Type = "number", Least = option.Least,
                Most = double.IsPositiveInfinity(option.Most) ? null : option.Most } },
        bool => Flag.As(flag => (object?)flag),
        string when option.Choices is { } choices => OneOf([.. choices]).As(text => (object?)text),
        _ when option.Type == typeof(IReadOnlyList<string>) => Texts.As(texts => (object?)texts),
        _ => KeyTypes.Text.As(text => (object?)text) with
            {
                Schema = new KeySchema
                    { Type = "string", ChoicesNow = option.Choices is null ? null : () => option.Choices },
            },
    };
}
