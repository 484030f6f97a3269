using System.Globalization;
using System.Text.Json;

namespace LowRank.Adapters.Json;

/// <summary>Converts property values to JSON and back.</summary>
internal static class JsonValues
{
    /// <summary>null</summary>
    public static JsonElement Null { get; } = JsonElement.Parse("null");

    public static JsonElement Whole(long value) => Raw(value.ToString(CultureInfo.InvariantCulture));

    /// <summary>A number as Python writes a float: with a decimal point.</summary>
    public static JsonElement Number(double value) => Raw(PythonFloat.Text(value));

    public static JsonElement Flag(bool value) => Raw(value ? "true" : "false");

    public static JsonElement Text(string? value) => value is null ? Null : Raw(PythonJson.Quote(value));

    public static JsonElement Texts(IEnumerable<string>? values) => values is null ? Null
        : Raw($"[{string.Join(',', values.Select(PythonJson.Quote))}]");

    public static JsonElement Wholes(IEnumerable<int> values) => Raw($"[{string.Join(',', values)}]");

    public static JsonElement Flags(IEnumerable<bool> values) =>
        Raw($"[{string.Join(',', values.Select(value => value ? "true" : "false"))}]");

    public static JsonElement Map(IEnumerable<KeyValuePair<string, JsonElement>> values) =>
        Raw(PythonJson.Write(values));

    public static JsonElement Map(params (string Key, JsonElement Value)[] values) =>
        Map(values.Select(pair => KeyValuePair.Create(pair.Key, pair.Value)));

    public static string[] ReadTexts(JsonElement list) => [.. list.EnumerateArray().Select(item => item.GetString()!)];

    public static int[] ReadWholes(JsonElement list) => [.. list.EnumerateArray().Select(item => item.GetInt32())];

    /// <summary>A map in the file's order; null becomes an empty one.</summary>
    public static OrderedDictionary<string, T> ReadMap<T>(JsonElement value, Func<JsonElement, T> read)
    {
        var map = new OrderedDictionary<string, T>();
        if (value.ValueKind == JsonValueKind.Null) return map;
        foreach (JsonProperty property in value.EnumerateObject()) map[property.Name] = read(property.Value);
        return map;
    }

    /// <summary>A number in an object; the given default if it is missing.</summary>
    public static double NumberOr(this JsonElement settings, string key, double otherwise) =>
        settings.TryGetProperty(key, out JsonElement value) && value.ValueKind == JsonValueKind.Number
            ? value.GetDouble() : otherwise;

    /// <summary>A boolean in an object; the given default if it is missing.</summary>
    public static bool FlagOr(this JsonElement settings, string key, bool otherwise) =>
        settings.TryGetProperty(key, out JsonElement value)
            && value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean() : otherwise;

    /// <summary>A string in an object; the given default if it is missing.</summary>
    public static string TextOr(this JsonElement settings, string key, string otherwise) =>
        settings.TryGetProperty(key, out JsonElement value) && value.ValueKind == JsonValueKind.String
            ? value.GetString()! : otherwise;

    private static JsonElement Raw(string json) => JsonElement.Parse(json);
}
