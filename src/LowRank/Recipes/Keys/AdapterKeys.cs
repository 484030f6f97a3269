using LowRank.Adapters;
using LowRank.Adapters.Files;
using LowRank.Adapters.Methods;

namespace LowRank.Recipes.Keys;

/// <summary>When each key of a recipe's <c>adapter</c> takes effect: with the methods that have it, and beside
/// <c>training.init_adapter</c>, whose own settings hold, where it says the same as they do.</summary>
internal static class AdapterKeys
{
    /// <summary>Keys of <c>adapter</c>.</summary>
    public static IEnumerable<RecipeKey> OfAdapter() =>
    [
        new RecipeKey("adapter", "method") { IsAlways = true },
        Key("rank"), Key("alpha"), Key("dropout"), Key("target_modules"), Key("exclude_modules"),
        Key("bias") with { UnlessPrepared = [c => StartedAdapter.Differs(c, "bias", isOption: false), NoBias] },
        Key("use_rslora"),
        Key("layers_to_transform", c => c.Adapter is { LayersToTransform: not null, TargetPattern: { } pattern }
        && pattern != ModuleSelection.AllLinearText
            ? "does not go with a regular expression in adapter.target_modules; put the layers into the expression"
            : null),
        Key("layers_pattern", c => c.Adapter.LayersToTransform is null
            ? "has no effect without adapter.layers_to_transform; add that or remove this" : null),
        Key("rank_pattern"), Key("alpha_pattern"), Key("init_lora_weights"), Key("modules_to_save"),
            Key("ensure_weight_tying"), Key("lora_bias"), Key("trainable_token_indices"), Key("new_tokens"),
        new RecipeKey(
            "adapter", "method_options") { Unless =
            [c => c.Adapter.Method == "full" ? "has no effect with adapter.method: full; remove it" : null] },
    ];

    /// <summary>Keys of <c>adapter.method_options</c>: those of all methods.</summary>
    public static IEnumerable<RecipeKey> OfMethods() =>
        AdapterMethods.All.SelectMany(method => method.Options.Select(option => option.Name)).Distinct()
        .Select(name =>
        new RecipeKey("adapter.method_options", name) { Unless = [c => OfMethod(name, c)],
        UnlessPrepared = [c => StartedAdapter.Differs(c, name, isOption: true)] });

    private static RecipeKey Key(string name, params Func<RecipeChoices, string?>[] reasons) => new("adapter", name)
    {
        Unless = [c => c.Adapter.Method == "full" ? "has no effect with adapter.method: full; remove it"
            : null, c => InMethod(name, AdapterMethods.Get(c.Adapter.Method)), .. reasons],
        UnlessPrepared = [c => StartedAdapter.Differs(c, name, isOption: false)],
    };

    private static string? InMethod(string name, IAdapterMethod method) => method.Keys.Contains(name) ? null
        : "has no effect with adapter.method: " +
        $"{method.Name}{(method.Keys.Count == 0 ? "" : $", which has {string.Join(", ", method.Keys)}")}; remove it";

    private static string? OfMethod(string name, RecipeChoices choices)
    {
        if (choices.Adapter.Method == "full") return null; // said of the whole section
        IAdapterMethod method = AdapterMethods.Get(choices.Adapter.Method);
        if (method.Options.FirstOrDefault(known => known.Name == name) is { } option)
            return option.Unless?.Invoke(new MethodOptions(method, choices.Adapter.MethodOptions));
        return "has no effect with adapter.method: " +
            $"{method.Name}{(method.Options.Count == 0 ? "" : $", which has {string.Join(", ", method.Options.Select(known => known.Name))}")}; remove it";
    }

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
}
