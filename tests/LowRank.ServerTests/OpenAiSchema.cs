using System.Text.Json;
using Json.Schema;

namespace LowRank.ServerTests;

/// <summary>OpenAI's own schemas of answers (Fixtures/openai.json, made of its openapi.yaml).</summary>
public static class OpenAiSchema
{
    private static readonly JsonElement Whole =
        Answer.Parse(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Fixtures", "openai.json")));
    private static readonly Dictionary<string, JsonSchema> Schemas = new(StringComparer.Ordinal);

    /// <summary>Asserts that a value is what OpenAI would send.</summary>
    /// <param name="name">The schema.</param>
    /// <param name="value">The value.</param>
    public static void Validate(string name, JsonElement value)
    {
        EvaluationResults results = Of(name).Evaluate(
            System.Text.Json.Nodes.JsonNode.Parse(value.GetRawText()),
            new EvaluationOptions { OutputFormat = OutputFormat.List });
        Assert.True(results.IsValid, $"{name}: {value}\n" + string.Join('\n', results.Details
            .Where(detail => detail.HasErrors)
            .SelectMany(detail => detail.Errors!.Select(error => $"{detail.InstanceLocation}: {error.Value}"))));
    }

    private static JsonSchema Of(string name)
    {
        lock (Schemas)
        {
            if (Schemas.TryGetValue(name, out JsonSchema? known)) return known;
            Assert.True(Whole.GetProperty("$defs").TryGetProperty(name, out _), name);
            string text = $$"""
                {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "https://lowrank.test/{{name}}",
                 "$ref": "#/$defs/{{name}}", "$defs": {{Whole.GetProperty("$defs").GetRawText()}}}
                """;
            return Schemas[name] = JsonSchema.FromText(text);
        }
    }
}
