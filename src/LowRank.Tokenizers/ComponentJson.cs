using System.Text.Json;
using System.Text.Json.Nodes;

namespace LowRank.Tokenizers;

/// <summary>A component of a tokenizer.json: its type, its settings, and its position for messages.</summary>
/// <param name="Json">The component's keys and values.</param>
/// <param name="Place">File and path, such as <c>tokenizer.json: pre_tokenizer.pretokenizers[0]</c>.</param>
internal sealed record ComponentJson(JsonObject Json, string Place)
{
    /// <summary>The component's type.</summary>
    public string Type => Text("type");

    /// <summary>A nested component; null if missing or null.</summary>
    public ComponentJson? Child(string key) => Json[key] switch
    {
        null => null,
        JsonObject child => new ComponentJson(child, $"{Place}.{key}"),
        var other => throw Wrong(key, other, "an object"),
    };

    /// <summary>The components of a list.</summary>
    public IReadOnlyList<ComponentJson> Children(string key)
    {
        if (Json[key] is not JsonArray list) throw Wrong(key, Json[key], "a list of objects");
        return [.. list.Select((item, i) => item is JsonObject child
            ? new ComponentJson(child, $"{Place}.{key}[{i}]") : throw Wrong($"{key}[{i}]", item, "an object"))];
    }

    /// <summary>A required string.</summary>
    public string Text(string key) => TextOr(key, null) ?? throw Wrong(key, Json[key], "a text");

    /// <summary>A string, or a default if missing or null.</summary>
    public string? TextOr(string key, string? otherwise) => Json[key] switch
    {
        null => otherwise,
        JsonValue value when value.TryGetValue(out string? text) => text,
        var other => throw Wrong(key, other, "a text"),
    };

    /// <summary>A non-empty string, or a default if missing or null.</summary>
    public string MarkOr(string key, string otherwise) =>
        TextOr(key, otherwise) is { Length: > 0 } text ? text : throw Wrong(key, Json[key], "a text that is not empty");

    /// <summary>A boolean, or a default if missing or null.</summary>
    public bool Flag(string key, bool otherwise) => Json[key] switch
    {
        null => otherwise,
        JsonValue value when value.TryGetValue(out bool flag) => flag,
        var other => throw Wrong(key, other, "true or false"),
    };

    /// <summary>A required integer.</summary>
    public int Number(string key) =>
        Json[key] is JsonValue value && value.TryGetValue(out int number) ? number
            : throw Wrong(key, Json[key], "a whole number");

    /// <summary>An integer, or a default if missing or null.</summary>
    public int NumberOr(string key, int otherwise) => Json[key] is null ? otherwise : Number(key);

    /// <summary>A pattern: {"String": …} or {"Regex": …}.</summary>
    public (string Text, bool IsRegex) Pattern(string key)
    {
        ComponentJson pattern = Child(key) ?? throw Wrong(key, null, "{\"String\": …} or {\"Regex\": …}");
        bool isRegex = pattern.TextOr("String", null) is null;
        string text = pattern.Text(isRegex ? "Regex" : "String");
        return text.Length > 0 ? (text, isRegex) : throw Wrong(key, pattern.Json, "a pattern that is not empty");
    }

    /// <summary>The error for a component with an unknown type.</summary>
    public InputException UnknownType(IEnumerable<string> known) =>
        new($"{Place}: type is \"{Type}\"; supported: {string.Join(", ", known.Order(StringComparer.Ordinal))}.");

    /// <summary>The error for a key that requests something unsupported.</summary>
    public InputException Unsupported(string key, string supported) => Wrong(key, Json[key], supported);

    private InputException Wrong(string key, JsonNode? found, string expected) =>
        new($"{Place}: {key} is {(found is null ? "missing" : Short(found))}, expected {expected}.");

    private static string Short(JsonNode node)
    {
        string text = node.GetValueKind() is JsonValueKind.Object ? "an object" : node.ToJsonString();
        return text.Length > 60 ? text[..60] + "…" : text;
    }
}
