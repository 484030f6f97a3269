using System.Text.Json;

namespace LowRank.Generation;

/// <summary>The keywords of JSON Schema (draft 2020-12).</summary>
internal static class SchemaKeywords
{
    private static readonly HashSet<string> Supported = new(StringComparer.Ordinal)
    {
        "type", "enum", "const", "properties", "required", "additionalProperties", "patternProperties",
        "propertyNames", "minProperties", "maxProperties", "items", "prefixItems", "minItems", "maxItems",
        "minLength", "maxLength", "pattern", "format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
        "multipleOf", "anyOf", "oneOf", "allOf", "$ref", "$defs", "$anchor",
    };

    private static readonly HashSet<string> Annotations = new(StringComparer.Ordinal)
    {
        "$schema", "$id", "$comment", "definitions", "title", "description", "default", "examples", "deprecated",
        "readOnly", "writeOnly", "contentEncoding", "contentMediaType", "contentSchema",
    };

    private static readonly Dictionary<string, string> Advice = new(StringComparer.Ordinal)
    {
        ["not"] = "list what is allowed instead",
        ["if"] = "use anyOf with a const that tells the cases apart",
        ["then"] = "use anyOf with a const that tells the cases apart",
        ["else"] = "use anyOf with a const that tells the cases apart",
        ["dependentRequired"] = "use anyOf with the cases",
        ["dependentSchemas"] = "use anyOf with the cases",
        ["unevaluatedProperties"] = "use additionalProperties",
        ["unevaluatedItems"] = "use items",
        ["contains"] = "use prefixItems or items",
        ["nullable"] = "use \"type\": [\"…\", \"null\"]",
        ["additionalItems"] = "use prefixItems and items",
        ["dependencies"] = "use anyOf with the cases",
        ["$dynamicRef"] = "use $ref",
    };

    /// <summary>Reports keywords that are not supported. Those that begin with x- say nothing about values.</summary>
    public static void Check(SchemaDocument document, SchemaPlace place)
    {
        foreach (JsonProperty keyword in place.Schema.EnumerateObject())
        {
            string name = keyword.Name;
            if (Supported.Contains(name) || Annotations.Contains(name)
                || name.StartsWith("x-", StringComparison.Ordinal))
                continue;
            if (name == "uniqueItems")
            {
                if (keyword.Value.ValueKind == JsonValueKind.True)
                    document.Report(place, name, "is not supported: what was written before is not compared; leave " +
                        "it out, or list the possible arrays with enum");
                continue;
            }
            document.Report(place, name, Advice.TryGetValue(name, out string? advice)
                ? $"is not supported; {advice}"
                : $"is not supported. Supported are {string.Join(", ", Supported.Order(StringComparer.Ordinal))}, " +
                "and annotations such as title and description");
        }
    }

    /// <summary>The schemas in a keyword.</summary>
    public static IEnumerable<SchemaPlace> Inside(SchemaPlace place, JsonProperty keyword) => keyword.Name switch
    {
        "properties" or "patternProperties" or "$defs" or "definitions" or "dependentSchemas"
            when keyword.Value.ValueKind == JsonValueKind.Object => keyword.Value.EnumerateObject()
                .Select(each => place.In(each.Value, keyword.Name, each.Name)),
        "anyOf" or "oneOf" or "allOf" or "prefixItems" when keyword.Value.ValueKind == JsonValueKind.Array =>
            keyword.Value.EnumerateArray().Select((each, i) =>
                place.In(each, keyword.Name, i.ToString(System.Globalization.CultureInfo.InvariantCulture))),
        "additionalProperties" or "items" or "propertyNames" or "not" or "if" or "then" or "else" or "contains"
            or "unevaluatedItems" or "unevaluatedProperties" => [place.In(keyword.Value, keyword.Name)],
        _ => [],
    };
}
