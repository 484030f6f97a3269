using System.Collections;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace LowRank.Recipes;

/// <summary>The contents of recipes for editors, shells and the docs, derived from the declarations of the
/// keys.</summary>
public static partial class RecipeSchema
{
    private static readonly JsonSerializerOptions Readable =
        new() { WriteIndented = true, NewLine = "\n", Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The full names of the keys that take a value, such as training.steps.</summary>
    public static IReadOnlyList<string> Keys =>
        [.. RecipeKeys.All.Where(key => key.Schema is not null).Select(key => key.Full)];

    /// <summary>The JSON Schema (draft 2020-12), with which editors complete and check keys.</summary>
    /// <returns>JSON ending with a line break.</returns>
    public static string Build()
    {
        var root = new JsonObject
        {
            ["$schema"] = "https://json-schema.org/draft/2020-12/schema",
            ["title"] = "LowRank recipe",
            ["type"] = "object",
            ["additionalProperties"] = false,
            ["properties"] = Properties(""),
        };
        return root.ToJsonString(Readable) + "\n";
    }

    /// <summary>The table of keys in Markdown, one line each: the recipe's own, then those of its sections. The
    /// methods' own settings have a separate page.</summary>
    internal static string Table() =>
        "| key | default | meaning |\n|---|---|---|\n"
        + string.Concat(Listed("").Select(key =>
            $"| `{key.Full}` | {DefaultOf(key)} | {key.Meaning.Replace("|", @"\|", StringComparison.Ordinal)} |\n"));

    private static IEnumerable<RecipeKey> Listed(string section) =>
        RecipeKeys.Sections[section].Where(key => key.Schema is not null || key.Full == AdapterKeys.Options)
            .Concat(RecipeKeys.Sections[section].Where(key => key.Schema is null && key.Full != AdapterKeys.Options)
                .SelectMany(key => Listed(key.Full)));

    private static JsonObject Properties(string section)
    {
        var properties = new JsonObject();
        foreach (RecipeKey key in RecipeKeys.Sections[section])
        {
            JsonObject property = key.Schema is { } schema ? OfKey(schema) : new JsonObject
            {
                ["type"] = new JsonArray("object", "null"),
                ["additionalProperties"] = false,
                ["properties"] = Properties(key.Full),
            };
            if (key.Meaning.Length > 0) property["description"] = Described(key);
            properties[key.Name] = property;
        }
        return properties;
    }

    private static string Described(RecipeKey key)
    {
        string otherwise = DefaultOf(key);
        string text = key.Meaning + (otherwise is "required" or "none" ? "" : $" (default: {otherwise})");
        return Link().Replace(text, "${text}").Replace("`", "", StringComparison.Ordinal);
    }

    private static string DefaultOf(RecipeKey key) => key.Default ?? (key.Required is not null ? "required"
        : key.Written(RecipeReader.Empty) switch
        {
            null or ICollection { Count: 0 } => "none",
            string text => $"`{text}`",
            bool flag => flag ? "true" : "false",
            double small and > 0 and < 1e-4 => small.ToString("0.###e-0", CultureInfo.InvariantCulture),
            var value => string.Create(CultureInfo.InvariantCulture, $"{value}"),
        });

    // A key without a value takes its default, so null is allowed everywhere; an environment variable is a string
    // wherever a path is allowed.
    private static JsonObject OfKey(KeySchema key)
    {
        JsonObject value = Value(key);
        if (!key.MayBeList) return value;
        JsonObject item = Value(key);
        item["type"] = key.Type;
        var list = new JsonObject { ["type"] = "array", ["items"] = item };
        return new JsonObject { ["anyOf"] = new JsonArray(value, list) };
    }

    private static JsonObject Value(KeySchema key)
    {
        var value = new JsonObject
        {
            ["type"] = key.OtherType is { } other ? new JsonArray(key.Type, other, "null")
                : new JsonArray(key.Type, "null"),
        };
        if (key.Choices is { } choices)
        {
            // In such a list true and false are words in YAML, and booleans in JSON.
            value.Remove("type");
            JsonNode?[] booleans = choices.Contains("true") ? [JsonValue.Create(true), JsonValue.Create(false)] : [];
            value["enum"] = new JsonArray([.. choices.Select(choice => (JsonNode?)choice), .. booleans, null]);
        }
        if (key.OtherChoices is { } words)
        {
            var word = new JsonObject { ["enum"] = new JsonArray([.. words.Select(choice => (JsonNode?)choice)]) };
            JsonObject plain = Value(key with { OtherType = null, OtherChoices = null });
            return new JsonObject { ["anyOf"] = new JsonArray(plain, word) };
        }
        if (key.Least is { } least) value[key.IsAbove ? "exclusiveMinimum" : "minimum"] = least;
        if (key.Most is { } most) value[key.IsBelow ? "exclusiveMaximum" : "maximum"] = most;
        if (key.Values is { } values) value["additionalProperties"] = Value(values);
        return value;
    }

    [GeneratedRegex(@"\[(?<text>[^\]]+)\]\([^)]+\)", RegexOptions.ExplicitCapture)]
    private static partial Regex Link();
}
