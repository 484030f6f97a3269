using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Adapters.Methods;
using LowRank.Tasks;

namespace LowRank.Recipes;

/// <summary>The JSON Schema of recipes (draft 2020-12), by which editors complete and check keys. It is what the reader
/// itself asks for.</summary>
public static class RecipeSchema
{
    private static readonly JsonSerializerOptions Readable =
        new() { WriteIndented = true, NewLine = "\n", Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The schema.</summary>
    /// <param name="describe">What a key means, by its full name such as training.steps; null for nothing to
    /// say.</param>
    /// <returns>JSON, ending with a line break.</returns>
    public static string Build(Func<string, string?> describe)
    {
        Dictionary<string, Dictionary<string, KeySchema>> sections = Record();
        var root = new JsonObject
        {
            ["$schema"] = "https://json-schema.org/draft/2020-12/schema",
            ["title"] = "LowRank recipe",
            ["type"] = "object",
            ["additionalProperties"] = false,
            ["properties"] = Properties("", sections, describe),
        };
        return root.ToJsonString(Readable) + "\n";
    }

    private static JsonObject Properties(
        string section, Dictionary<string, Dictionary<string, KeySchema>> sections, Func<string, string?> describe)
    {
        var properties = new JsonObject();
        foreach (string key in RecipeKeys.Sections[section])
        {
            string full = RecipeKeys.Full(section, key);
            JsonObject property = RecipeKeys.Sections.ContainsKey(full)
                ? new JsonObject { ["type"] = new JsonArray("object", "null"), ["additionalProperties"] = false,
                ["properties"] = Properties(full, sections, describe) }
                : OfKey(sections.GetValueOrDefault(section)?.GetValueOrDefault(key)
                    ?? new KeySchema { Type = "string" });
            if (describe(full) is { } text) property["description"] = text;
            properties[key] = property;
        }
        return properties;
    }

    // A key that is given nothing takes its default, so null is allowed everywhere; an environment variable is a text
    // wherever a path is.
    private static JsonObject OfKey(KeySchema key)
    {
        JsonObject value = Value(key);
        if (!key.MayBeList) return value;
        JsonObject item = Value(key);
        item["type"] = key.Type;
        return new JsonObject { ["anyOf"] = new JsonArray(
            value, new JsonObject { ["type"] = "array", ["items"] = item }) };
    }

    private static JsonObject Value(KeySchema key)
    {
        var value = new JsonObject { ["type"] = key.OtherType is { } other ? new JsonArray(key.Type, other, "null")
            : new JsonArray(key.Type, "null") };
        if (key.Choices is { } choices)
        {
            // true and false are words of such a list in YAML, and truth values in JSON.
            value.Remove("type");
            value["enum"] =
                new JsonArray(
                    [.. choices.Select(choice => (JsonNode?)choice), .. choices.Contains("true")
                    ? [JsonValue.Create(true), JsonValue.Create(false)] : Array.Empty<JsonNode?>(), null]);
        }
        if (key.OtherChoices is { } words)
            return new JsonObject { ["anyOf"] = new JsonArray(Value(key with { OtherType = null, OtherChoices = null }),
                new JsonObject { ["enum"] = new JsonArray([.. words.Select(word => (JsonNode?)word)]) }) };
        if (key.Least is { } least) value[key.IsAbove ? "exclusiveMinimum" : "minimum"] = least;
        if (key.Most is { } most) value[key.IsBelow ? "exclusiveMaximum" : "maximum"] = most;
        if (key.Values is { } values) value["additionalProperties"] = Value(values);
        return value;
    }

    private static Dictionary<string, Dictionary<string, KeySchema>> Record()
    {
        var recorder = new SchemaRecorder();
        foreach (string task in TaskRegistry.Names) Read($"task: {task}\ntask_options: {{}}\nadapter: {{}}", recorder);
        // asked for only where it is given
        Read("task: sequence_classification\ntask_options: {problem: regression}", recorder);
        Read("adapter: {}\ntraining: {}\ncomparison: {}", recorder);
        Read("adapter: {}", recorder, ", template: {text: t}, csv: {header: true}");
        foreach (IAdapterMethod method in AdapterMethods.All)
            foreach (MethodOption option in method.Options)
                recorder.Note("adapter.method_options", option.Name, OfOption(option));
        return recorder.Sections;
    }

    private static void Read(string yaml, SchemaRecorder recorder, string data = "") =>
        RecipeReader.Read(
            $"model: m\noutput: o\ndata: {{train: t, validation: v{data}}}\n{yaml}\n", "/", [], "schema", recorder);

    private static KeySchema OfOption(MethodOption option) => option.Default switch
    {
        int => new KeySchema { Type = "integer", Least = option.Least, Most = option.Most < int.MaxValue
            ? option.Most : null },
        double => new KeySchema { Type = "number", Least = option.Least, Most = double.IsPositiveInfinity(option.Most)
            ? null : option.Most },
        bool => new KeySchema { Type = "boolean" },
        _ when option.Type == typeof(IReadOnlyList<string>) => new KeySchema { Type = "string", MayBeList = true },
        _ => new KeySchema { Type = "string", Choices = option.Choices },
    };
}

/// <summary>What a key of a recipe may hold, as the reader asks for it.</summary>
internal sealed record KeySchema
{
    /// <summary>JSON Schema's type: string, number, integer, boolean, object.</summary>
    public required string Type { get; init; }

    /// <summary>Another type that is read besides; null for none.</summary>
    public string? OtherType { get; init; }

    /// <summary>The texts that are allowed of <see cref="OtherType"/>; null for any.</summary>
    public IReadOnlyList<string>? OtherChoices { get; init; }

    /// <summary>The texts that are allowed; null for any.</summary>
    public IReadOnlyList<string>? Choices { get; init; }

    /// <summary>The smallest number; null for none.</summary>
    public double? Least { get; init; }

    /// <summary>Whether the smallest number itself is too small.</summary>
    public bool IsAbove { get; init; }

    /// <summary>The largest number; null for none.</summary>
    public double? Most { get; init; }

    /// <summary>Whether the largest number itself is too large.</summary>
    public bool IsBelow { get; init; }

    /// <summary>Whether a list of such values may stand there too.</summary>
    public bool MayBeList { get; init; }

    /// <summary>What the values of a map are; null for no map.</summary>
    public KeySchema? Values { get; init; }
}

/// <summary>Writes down what the reader asks of each key, so that the published schema says what the reader
/// does.</summary>
internal sealed class SchemaRecorder
{
    /// <summary>The keys of each section, by its path; those of the recipe itself under the empty one.</summary>
    public Dictionary<string, Dictionary<string, KeySchema>> Sections { get; } = [];

    /// <summary>Notes a key; the first question about it holds.</summary>
    public void Note(string section, string key, KeySchema schema)
    {
        if (!Sections.TryGetValue(section, out Dictionary<string, KeySchema>? keys)) Sections[section] = keys = [];
        keys.TryAdd(key, schema);
    }
}
