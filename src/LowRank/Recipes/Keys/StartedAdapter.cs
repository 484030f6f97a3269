using System.Collections;
using System.Globalization;
using System.Text.Json;
using LowRank.Adapters;
using LowRank.Adapters.Methods;
using LowRank.Models;
using LowRank.Tokenizers;

namespace LowRank.Recipes.Keys;

/// <summary>Compares the keys of a recipe's <c>adapter</c> with the adapter that <c>training.init_adapter</c> names,
/// whose own settings hold.</summary>
internal static class StartedAdapter
{
    // By key: the value in a config, and a config with the recipe's in place of the adapter's own where the modules it
    // is of can be compared.
    private static readonly Dictionary<string, (
        Func<LoraConfig, object?> Value, Func<LoraConfig, LoraConfig, LoraConfig>? With)> Settings = new()
    {
        ["rank"] = (config => config.Rank, (own, asked) => own with { Rank = asked.Rank }),
        ["alpha"] = (config => config.Alpha.Value, (own, asked) => own with { Alpha = asked.Alpha }),
        ["dropout"] = (config => config.Dropout.Value, null),
        ["target_modules"] =
            (config => config.TargetModules, (own, asked) => own with { TargetModules = asked.TargetModules }),
        ["exclude_modules"] =
            (config => config.ExcludeModules, (own, asked) => own with { ExcludeModules = asked.ExcludeModules }),
        ["bias"] = (config =>
            config.Bias switch { BiasTraining.All => "all", BiasTraining.Adapted => "lora_only", _ => "none" }, null),
        ["use_rslora"] =
            (config => config.UseRankStabilizedScale,
            (own, asked) => own with { UseRankStabilizedScale = asked.UseRankStabilizedScale }),
        ["layers_to_transform"] =
            (config => config.LayersToTransform,
            (own, asked) => own with { LayersToTransform = asked.LayersToTransform }),
        ["layers_pattern"] =
            (config => config.LayersPattern, (own, asked) => own with { LayersPattern = asked.LayersPattern }),
        ["rank_pattern"] = (config => config.RankPattern, (own, asked) => own with { RankPattern = asked.RankPattern }),
        ["alpha_pattern"] =
            (config => config.AlphaPattern, (own, asked) => own with { AlphaPattern = asked.AlphaPattern }),
        ["init_lora_weights"] = (config => config.InitialWeights.Text ?? config.InitialWeights.Name, null),
        ["modules_to_save"] = (config => config.ModulesToSave, null),
        ["ensure_weight_tying"] = (config => config.EnsureWeightTying, null),
        ["lora_bias"] = (config => config.BiasOnB, null),
        ["trainable_token_indices"] = (config => config.TrainedTokens?.SelectMany(tokens => tokens.Value), null),
    };

    /// <summary>How a key differs from the adapter's own setting, as the end of a sentence that begins with the key;
    /// null where it says the same, or nothing is begun from an adapter.</summary>
    /// <param name="choices">The run.</param>
    /// <param name="key">A key of <c>adapter</c>, or of its <c>method_options</c>.</param>
    /// <param name="isOption">Whether it is one of the latter.</param>
    public static string? Differs(PreparedChoices choices, string key, bool isOption)
    {
        // A recipe made without a text has a value for every key: it cannot tell what was asked for.
        if (choices is not { StartFolder: { } folder, Adapter: { } adapter, Recipe: { Given: not null } recipe })
            return null;
        return isOption ? Option(recipe.Adapter, key, adapter.Config, folder)
            : key == "new_tokens" ? NewTokens(recipe.Adapter.NewTokens ?? [], adapter, folder)
            : Setting(choices, key, adapter, folder);
    }

    private static string? Setting(PreparedChoices choices, string key, Adapter adapter, string folder)
    {
        LoraConfig own = adapter.Config, asked = RecipeOptions.Config(choices.Recipe.Adapter);
        (Func<LoraConfig, object?> value, Func<LoraConfig, LoraConfig, LoraConfig>? with) = Settings[key];
        if (key == "modules_to_save")
            asked = asked with { ModulesToSave = SavedModules.ForNew(
                asked with { TaskType = own.TaskType }, choices.Model.Network) };
        if (Text(value(own)) == Text(value(asked))) return null;
        if (with is not null && Same(choices.Model, own, with(own, asked))) return null;
        return Words(Text(value(asked)), Text(value(own)), folder);
    }

    // Names, patterns and numbers say the same where the same modules come out with the same rank and scale.
    private static bool Same(PretrainedModel model, LoraConfig own, LoraConfig changed)
    {
        HashSet<LoraTarget> Targets(LoraConfig config) =>
            [.. TargetMatcher.Match(
                config, AdaptableModules.Of(model.Network), model.Config.ModelType, AdapterUse.Load).Targets];
        try
        {
            return Targets(own).SetEquals(Targets(changed));
        }
        catch (InputException)
        {
            return false; // the recipe's value selects nothing here
        }
    }

    private static string? Option(AdapterSection section, string name, LoraConfig own, string folder)
    {
        IAdapterMethod method = AdapterMethods.Get(section.Method);
        if (!section.MethodOptions.TryGetValue(name, out object? value)) return null;
        MethodOption option = method.Options.First(known => known.Name == name);
        MethodOptions asked = new(method, section.MethodOptions),
            other = new(method,
            new Dictionary<string, object?>(section.MethodOptions) { [name] = Another(option, value) });
        var start = new LoraConfig { Rank = own.Rank };
        LoraConfig config = method.Configure(start, asked), changed = method.Configure(start, other);
        // What the option is written as: the keys that another value of it would change.
        string[] keys =
            [.. config.OtherKeys.Keys.Where(
                key => !JsonElement.DeepEquals(config.OtherKeys[key], changed.OtherKeys[key]))];
        if (keys.Length == 0)
            // it rules over training
            return config.InitialWeights == changed.InitialWeights
                && method.CalibrationExamples(asked) == method.CalibrationExamples(other) ? null
                : "has no effect with training.init_adapter, whose weights are not begun anew; remove it";
        return keys.FirstOrDefault(
            key => !own.OtherKeys.TryGetValue(key, out JsonElement has)
            || !JsonElement.DeepEquals(has, config.OtherKeys[key])) is { } key
            ? Words(Text(value), own.OtherKeys.TryGetValue(key, out JsonElement found) ? found.GetRawText()
            : "none", folder) : null;
    }

    private static object? Another(MethodOption option, object? value) => value switch
    {
        bool flag => !flag,
        int whole => whole < option.Most ? whole + 1 : whole - 1,
        double number => number * 2 <= option.Most && number != 0 ? number * 2 : number == 0
        ? Math.Min(0.5, option.Most) : number / 2,
        IReadOnlyList<string> list => (IReadOnlyList<string>)[.. list, "another"],
        string text => option.Choices?.First(choice => choice != text) ?? text + " another",
        _ => value,
    };

    // Those that the adapter's tokenizer has: whether they were new to it, its own files do not tell.
    private static string? NewTokens(IReadOnlyList<string> asked, Adapter adapter, string folder)
    {
        Tokenizer? tokenizer = adapter.Vocabulary?.Tokenizer(null);
        string[] missing = [.. asked.Where(token => tokenizer?.TokenToId(token) is null)];
        return missing.Length == 0 ? null : Words(Text(asked), $"no token {string.Join(", ", missing)}", folder);
    }

    private static string Words(string asked, string own, string folder) =>
        $"is {asked}, and the adapter of training.init_adapter ({folder}) has {own}, which holds; remove the key, " +
            "or give it that value";

    private static string Text(object? value) => value switch
    {
        null => "none",
        bool flag => flag ? "true" : "false",
        string text => text,
        ModuleSelection selection => selection.Names is { } names ? Text(names.Order(StringComparer.Ordinal))
        : selection.Text!,
        LayerSelection layers => Text(layers.Layers.Order()),
        IReadOnlyDictionary<string, int> ranks =>
        $"{{{string.Join(", ", ranks.OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => $"{pair.Key}: {Text(pair.Value)}"))}}}",
        IReadOnlyDictionary<string, ConfigNumber> alphas =>
        $"{{{string.Join(", ", alphas.OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => $"{pair.Key}: {Text(pair.Value.Value)}"))}}}",
        IEnumerable list => $"[{string.Join(", ", list.Cast<object?>().Select(Text))}]",
        _ => Convert.ToString(value, CultureInfo.InvariantCulture)!,
    };
}
