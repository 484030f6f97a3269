using System.Collections;
using System.Globalization;
using System.Text.Json;
using LowRank.Adapters;
using LowRank.Adapters.Methods;
using LowRank.Models;
using LowRank.Tokenizers;

namespace LowRank.Recipes;

/// <summary>Compares the keys of a recipe's <c>adapter</c> with the adapter that <c>training.init_adapter</c> names,
/// whose own settings hold.</summary>
internal static class StartedAdapter
{
    /// <summary>How a key's value differs from the adapter's own setting, as the end of a sentence that begins with
    /// the key; null where it says the same, or nothing is begun from an adapter.</summary>
    public static string? Differs(PreparedChoices choices, OwnSetting setting) =>
        Started(choices) is { } adapter ? Differs(choices, setting, adapter, choices.StartFolder!) : null;

    /// <summary>The same for a key of <c>adapter.method_options</c>.</summary>
    public static string? OptionDiffers(PreparedChoices choices, string name) =>
        Started(choices) is { } adapter
            ? Option(choices.Recipe.Adapter, name, adapter.Config, choices.StartFolder!) : null;

    /// <summary>The same for new tokens. Those that the adapter's tokenizer has are the same: whether they were new to
    /// it, its own files do not tell.</summary>
    public static string? LacksTokens(PreparedChoices choices)
    {
        if (Started(choices) is not { } adapter) return null;
        IReadOnlyList<string> asked = choices.Recipe.Adapter.NewTokens ?? [];
        Tokenizer? tokenizer = adapter.Vocabulary?.Tokenizer(null);
        string[] missing = [.. asked.Where(token => tokenizer?.TokenToId(token) is null)];
        return missing.Length == 0 ? null
            : Words(Text(asked), $"no token {string.Join(", ", missing)}", choices.StartFolder!);
    }

    // A recipe made without a text has a value for every key: it cannot tell what was asked for.
    private static Adapter? Started(PreparedChoices choices) =>
        choices is { StartFolder: not null, Recipe.Given: not null } ? choices.Adapter : null;

    private static string? Differs(PreparedChoices choices, OwnSetting setting, Adapter adapter, string folder)
    {
        LoraConfig own = adapter.Config, asked = RecipeOptions.Config(choices.Recipe.Adapter);
        asked = setting.Complete?.Invoke(asked, own, choices.Model.Network) ?? asked;
        if (Text(setting.Value(own)) == Text(setting.Value(asked))) return null;
        if (setting.With is { } with && Same(choices.Model, own, with(own, asked))) return null;
        return Words(Text(setting.Value(asked)), Text(setting.Value(own)), folder);
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

/// <summary>A key of <c>adapter</c> as an adapter's own config has it.</summary>
/// <param name="Value">The value in a config.</param>
/// <param name="With">The adapter's own config with the value that is asked for, where the modules that it selects can
/// be compared; null otherwise.</param>
internal sealed record OwnSetting(
    Func<LoraConfig, object?> Value, Func<LoraConfig, LoraConfig, LoraConfig>? With = null)
{
    /// <summary>Fills in what a new adapter on a base gets besides what is asked for; null for nothing.</summary>
    public Func<LoraConfig, LoraConfig, INetwork, LoraConfig>? Complete { get; init; }
}
