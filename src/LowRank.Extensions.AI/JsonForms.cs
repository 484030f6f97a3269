using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.AI;

namespace LowRank.Extensions.AI;

/// <summary>Values of callers as JSON on one line, as models read it.</summary>
internal static class JsonForms
{
    private static readonly JsonSerializerOptions OneLine = Made();

    /// <summary>A value as an element.</summary>
    public static JsonElement Element(object value) =>
        JsonSerializer.SerializeToElement(value, OneLine.GetTypeInfo(typeof(object)));

    /// <summary>A value as text.</summary>
    public static string Text(object value) => JsonSerializer.Serialize(value, OneLine.GetTypeInfo(typeof(object)));

    /// <summary>Arguments of a call as an object.</summary>
    public static JsonNode? Arguments(IDictionary<string, object?>? arguments) => JsonSerializer.SerializeToNode(
        arguments ?? new Dictionary<string, object?>(), OneLine.GetTypeInfo(typeof(IDictionary<string, object?>)));

    /// <summary>A schema whose objects have the properties that it names and no others, unless it says which: what fits
    /// it fits the schema, and the model does not go on inventing names.</summary>
    public static JsonElement Closed(JsonElement schema) => AIJsonUtilities.TransformSchema(
        schema, new AIJsonSchemaTransformOptions { DisallowAdditionalProperties = true });

    private static JsonSerializerOptions Made()
    {
        // What is not ASCII is no page's markup here, and the model reads it as it was written.
        var options = new JsonSerializerOptions(AIJsonUtilities.DefaultOptions)
        {
            WriteIndented = false, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        };
        options.MakeReadOnly();
        return options;
    }
}
