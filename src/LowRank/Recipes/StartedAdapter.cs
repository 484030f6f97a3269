using System.Collections;
using System.Globalization;
using System.Text.Json;
using LowRank.Adapters;
using LowRank.Adapters.Json;
using LowRank.Models;
using LowRank.Tokenizers;

namespace LowRank.Recipes;

/// <summary>Compares the keys of a recipe's <c>adapter</c> section with the adapter in <c>training.init_adapter</c>,
/// whose own settings apply.</summary>
internal static class StartedAdapter
{
    /// <summary>How a key's value differs from the adapter's own setting, as the end of a sentence that starts with the
    /// key; null if they agree or training does not start from an adapter.</summary>
    public static string? Differs(PreparedChoices choices, OwnSetting setting) =>
        Started(choices) is { } adapter ? Differs(choices, setting, adapter) : null;

    /// <summary>The same for a key in <c>adapter.method_options</c>.</summary>
    public static string? OptionDiffers(PreparedChoices choices, string name) =>
        Started(choices) is { } adapter
            ? Option(choices, name, adapter.Config) : null;

    /// <summary>The same for new tokens. Tokens that the adapter's tokenizer has are accepted: its files do not say
    /// whether they were new.</summary>
    public static string? LacksTokens(PreparedChoices choices)
    {
        if (Started(choices) is not { } adapter) return null;
        IReadOnlyList<string> asked = choices.Recipe.Adapter.NewTokens ?? [];
        Tokenizer? tokenizer = adapter.Vocabulary?.Tokenizer(null);
        string[] missing = [.. asked.Where(token => tokenizer?.TokenToId(token) is null)];
        return missing.Length == 0 ? null
            : Differs(choices, Text(asked), $"no token {string.Join(", ", missing)}");
    }

    // A recipe created without a text has a value for every key, so it is unknown which were requested.
    private static Adapter? Started(PreparedChoices choices) =>
        choices is { StartFolder: not null, Recipe.Given: not null } ? choices.Adapter : null;

    private static string? Differs(PreparedChoices choices, OwnSetting setting, Adapter adapter)
    {
        AdapterConfig own = adapter.Config, asked = RecipeOptions.Config(choices.Recipe.Adapter);
        if (own.Type.Keys.FirstOrDefault(key => key.Get is not null && setting.PeftNames.Contains(key.Name))
            is not { Get: { } get, Set: { } set }) return null; // that the method lacks the key is said elsewhere
        asked = setting.Complete?.Invoke(asked, own, choices.Model.Network) ?? asked;
        string wanted = Text(get(asked), setting.IsSet), had = Text(get(own), setting.IsSet);
        if (wanted == had) return null;
        if (setting.IsOfTargets && Same(choices.Model, own, set(own, get(asked)))) return null;
        return Differs(choices, wanted, had);
    }

    // Names, patterns and numbers are equivalent if they result in the same modules with the same rank and scale.
    private static bool Same(PretrainedModel model, AdapterConfig own, AdapterConfig changed)
    {
        HashSet<AdapterTarget> Targets(AdapterConfig config) =>
            [.. TargetMatcher.Match(
                config, ModuleInfo.From(model.Network), model.Config.ModelType, AdapterUse.Load).Targets];
        try
        {
            return Targets(own).SetEquals(Targets(changed));
        }
        catch (InputException)
        {
            return false; // the recipe's value selects nothing here
        }
    }

    private static string? Option(PreparedChoices c, string name, AdapterConfig own)
    {
        IAdapterMethod asked = c.Recipe.Adapter.Method!;
        MethodOption option = asked.Option(name);
        object? value = option.Get(asked);
        IAdapterMethod other = option.Set(asked, Another(option, value));
        var start = new LoraConfig { Rank = (own as LowRankConfig)?.Rank ?? 1 };
        IReadOnlyDictionary<string, JsonElement> config = asked.Configure(start).Values(),
            changed = other.Configure(start).Values(), had = own.Values();
        // The PEFT keys that the option sets: those that another value would change.
        const string Start = "init_lora_weights";
        string[] all = [.. config.Keys.Where(key => !JsonElement.DeepEquals(config[key], changed[key]))],
            keys = [.. all.Where(key => key != Start)];
        if (keys.Length == 0)
            // it controls training
            return !all.Contains(Start) && asked.CalibrationExamples == other.CalibrationExamples ? null
                : $"has no effect with {c["training.init_adapter"]}, whose weights are not begun anew; remove it";
        return keys.FirstOrDefault(key => !JsonElement.DeepEquals(had[key], config[key])) is { } key
            ? Differs(c, Text(value), had[key].ValueKind == JsonValueKind.Null ? "none" : PythonJson.Write(had[key]))
            : null;
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

    private static string Differs(PreparedChoices c, string asked, string own) =>
        $"is {asked}, and the adapter of {c["training.init_adapter"]} ({c.StartFolder}) has {own}, which holds; " +
            "remove the key, or give it that value";

    private static string Text(object? value) => value switch
    {
        null => "none",
        bool flag => flag ? "true" : "false",
        string text => text,
        IEnumerable list => $"[{string.Join(", ", list.Cast<object?>().Select(Text))}]",
        _ => Convert.ToString(value, CultureInfo.InvariantCulture)!,
    };

    private static string Text(JsonElement value, bool isSet = false) => value.ValueKind switch
    {
        JsonValueKind.Null => "none",
        JsonValueKind.String => value.GetString()!,
        JsonValueKind.Number => Text((object)value.GetDouble()),
        JsonValueKind.Array => List(value.EnumerateArray(), isSet),
        JsonValueKind.Object =>
            $"{{{string.Join(", ", value.EnumerateObject().OrderBy(pair => pair.Name, StringComparer.Ordinal)
                .Select(pair => $"{pair.Name}: {Text(pair.Value)}"))}}}",
        _ => value.GetRawText(),
    };

    private static string List(IEnumerable<JsonElement> items, bool isSet)
    {
        if (isSet)
            items = items.OrderBy(item => item.ValueKind == JsonValueKind.Number ? item.GetDouble() : 0)
                .ThenBy(item => item.ValueKind == JsonValueKind.String ? item.GetString() : "", StringComparer.Ordinal);
        return $"[{string.Join(", ", items.Select(item => Text(item)))}]";
    }
}

/// <summary>A key of <c>adapter</c> and its counterpart in an adapter's own config.</summary>
/// <param name="PeftNames">Its names in PEFT's files: an adapter type has one of them or none.</param>
internal sealed record OwnSetting(params IReadOnlyList<string> PeftNames)
{
    /// <summary>Whether another value may be equivalent: names, patterns and numbers that result in the same modules,
    /// ranks and scales.</summary>
    public bool IsOfTargets { get; init; }

    /// <summary>Whether the order of its list is irrelevant.</summary>
    public bool IsSet { get; init; }

    /// <summary>Completes what a new adapter on a base gets in addition to the requested settings; null for
    /// nothing.</summary>
    public Func<AdapterConfig, AdapterConfig, INetwork, AdapterConfig>? Complete { get; init; }
}
