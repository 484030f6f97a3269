using System.Globalization;
using System.Text.Json;
using LowRank.Adapters.Json;

namespace LowRank.Adapters.Methods;

/// <summary>Adds keys that one kind of adapter has to a config's other keys.</summary>
internal static class OwnKeys
{
    public static IReadOnlyDictionary<string, JsonElement> With(LoraConfig config, params (string Key, object? Value)[] values)
    {
        var keys = new Dictionary<string, JsonElement>(config.OtherKeys);
        foreach ((string key, object? value) in values) keys[key] = Json(value);
        return keys;
    }

    public static IReadOnlyDictionary<string, JsonElement> With(LoraConfig config, string key, IEnumerable<KeyValuePair<string, object?>> map) =>
        With(config, (key, map.ToDictionary(pair => pair.Key, pair => Json(pair.Value))));

    // Numbers as Python writes them: a float keeps its point.
    private static JsonElement Json(object? value) => value switch
    {
        double number => JsonElement.Parse(PythonFloat.Text(number)),
        int whole => JsonElement.Parse(whole.ToString(CultureInfo.InvariantCulture)),
        _ => JsonSerializer.SerializeToElement(value),
    };
}
