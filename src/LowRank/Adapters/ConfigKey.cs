using System.Globalization;
using System.Text.Json;
using LowRank.Adapters.Json;
using static LowRank.Adapters.Json.JsonShape;

namespace LowRank.Adapters;

/// <summary>One key of PEFT's adapter config: its allowed values, the value that PEFT 0.20.1 assumes if a file omits
/// it, and its property.</summary>
/// <remarks>The meaning of an absent key is PEFT's, because older files depend on it. The property's default is
/// LowRank's, for new adapters.</remarks>
public sealed record ConfigKey
{
    /// <summary>A key of a file, without a property unless one is given.</summary>
    /// <param name="name">The key.</param>
    /// <param name="absent">The JSON that PEFT assumes if the key is missing.</param>
    /// <param name="shape">The kinds of value that PEFT accepts.</param>
    /// <param name="limit">The supported values; null if every value of the right kind is supported.</param>
    internal ConfigKey(string name, string absent, JsonShape shape, ConfigKeyLimit? limit = null) =>
        (Name, Absent, Shape, Limit) = (name, JsonElement.Parse(absent), shape, limit);

    /// <summary>The key.</summary>
    public string Name { get; }

    /// <summary>The value of a missing key.</summary>
    internal JsonElement Absent { get; }

    /// <summary>The kinds of value that PEFT accepts.</summary>
    internal JsonShape Shape { get; }

    /// <summary>The supported values; null if every value of the right kind is supported.</summary>
    internal ConfigKeyLimit? Limit { get; }

    /// <summary>The property as JSON; null for a key without one, which is kept as data.</summary>
    internal Func<AdapterConfig, JsonElement>? Get { get; private init; }

    /// <summary>Returns a config with the property set from a value of the right kind.</summary>
    internal Func<AdapterConfig, JsonElement, AdapterConfig>? Set { get; private init; }

    /// <summary>Whether the file's spelling is preserved while the property is unchanged: <c>0</c> stays <c>0</c> and
    /// does not become <c>0.0</c>.</summary>
    internal bool KeepsText { get; private init; }

    /// <summary>An integer.</summary>
    /// <param name="name">The key.</param>
    /// <param name="absent">The value that PEFT assumes if the key is missing.</param>
    /// <param name="get">The property.</param>
    /// <param name="set">Returns a config with another value.</param>
    public static ConfigKey Whole<T>(string name, int absent, Func<T, int> get, Func<T, int, T> set)
        where T : AdapterConfig => Create<T>(
            name, JsonValues.Whole(absent).GetRawText(), Integer, config => JsonValues.Whole(get(config)),
            (config, value) => set(config, value.GetInt32()));

    /// <summary>An integer or null; absence means null.</summary>
    /// <inheritdoc cref="Whole"/>
    public static ConfigKey WholeOrNull<T>(string name, Func<T, int?> get, Func<T, int?, T> set)
        where T : AdapterConfig => Create<T>(
            name, "null", Integer | Null,
            config => get(config) is { } value ? JsonValues.Whole(value) : JsonValues.Null,
            (config, value) => set(config, value.ValueKind == JsonValueKind.Null ? null : value.GetInt32()));

    /// <summary>A number, written with a decimal point.</summary>
    /// <inheritdoc cref="Whole"/>
    public static ConfigKey Number<T>(string name, double absent, Func<T, double> get, Func<T, double, T> set)
        where T : AdapterConfig => Create<T>(
            name, JsonValues.Number(absent).GetRawText(), JsonShape.Number,
            config => get(config) is var value && double.IsFinite(value) ? JsonValues.Number(value)
                : throw new InputException(string.Create(
                    CultureInfo.InvariantCulture, $"{name} is {value}, expected a finite number.")),
            (config, value) => set(config, value.GetDouble())) with { KeepsText = true };

    /// <summary>A boolean.</summary>
    /// <inheritdoc cref="Whole"/>
    public static ConfigKey Flag<T>(string name, bool absent, Func<T, bool> get, Func<T, bool, T> set)
        where T : AdapterConfig => Create<T>(
            name, absent ? "true" : "false", JsonShape.Boolean, config => JsonValues.Flag(get(config)),
            (config, value) => set(config, value.GetBoolean()));

    /// <summary>A string, or null if absence means null.</summary>
    /// <inheritdoc cref="Whole"/>
    public static ConfigKey Text<T>(string name, string? absent, Func<T, string?> get, Func<T, string?, T> set)
        where T : AdapterConfig => Create<T>(
            name, JsonValues.Text(absent).GetRawText(), absent is null ? JsonShape.Text | Null : JsonShape.Text,
            config => JsonValues.Text(get(config)), (config, value) => set(config, value.GetString()));

    /// <summary>Modules: a string, a list of names or null; absence means null.</summary>
    /// <inheritdoc cref="Whole"/>
    public static ConfigKey Modules<T>(
        string name, Func<T, ModuleSelection?> get, Func<T, ModuleSelection?, T> set)
        where T : AdapterConfig => Create<T>(
            name, "null", JsonShape.Text | TextList | Null, config => Write(get(config)),
            (config, value) => set(config, ReadSelection(value)));

    /// <summary>An object with its own record, or null; absence means null.</summary>
    internal static ConfigKey Settings<T, TValue>(
        string name, Func<T, TValue?> get, Func<T, TValue?, T> set, Func<JsonElement, TValue> read,
        Func<TValue, JsonElement> write) where T : AdapterConfig where TValue : class => Create<T>(
            name, "null", Map | Null, config => get(config) is { } value ? write(value) : JsonValues.Null,
            (config, value) => set(config, value.ValueKind == JsonValueKind.Null ? null : read(value)))
            with { KeepsText = true };

    private static JsonElement Write(ModuleSelection? selection) => selection switch
    {
        null => JsonValues.Null,
        { Names: { } names } => JsonValues.Texts(names),
        _ => JsonValues.Text(selection.Text),
    };

    private static ModuleSelection? ReadSelection(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null => null,
        JsonValueKind.Array => [.. JsonValues.ReadTexts(value)],
        _ => ModuleSelection.Pattern(value.GetString()!),
    };

    /// <summary>A key whose property has none of the plain kinds.</summary>
    internal static ConfigKey Create<T>(
        string name, string absent, JsonShape shape, Func<T, JsonElement> get, Func<T, JsonElement, T> set,
        ConfigKeyLimit? limit = null) where T : AdapterConfig => new(name, absent, shape, limit)
    {
        Get = config => get((T)config),
        Set = (config, value) => set((T)config, value),
    };
}

/// <summary>The values of a key that LowRank supports.</summary>
/// <param name="Supports">Whether a value of the right kind is supported for this use.</param>
/// <param name="Expected">The supported values in words.</param>
/// <param name="Advice">What the other values mean, and what to do instead.</param>
internal sealed record ConfigKeyLimit(Func<JsonElement, AdapterUse, bool> Supports, string Expected, string Advice)
{
    /// <summary>Only null.</summary>
    public static ConfigKeyLimit OnlyNull(string what, string advice) => new(
        (value, _) => value.ValueKind == JsonValueKind.Null, "null", $"it asks for {what}; {advice}");

    /// <summary>Only false.</summary>
    public static ConfigKeyLimit OnlyFalse(string what, string advice) => new(
        (value, _) => value.ValueKind == JsonValueKind.False, "false", $"it asks for {what}; {advice}");
}
