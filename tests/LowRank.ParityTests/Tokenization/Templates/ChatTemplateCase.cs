using System.Text.Json.Nodes;

namespace LowRank.ParityTests.Tokenization.Templates;

/// <summary>
/// A case of Fixtures/chat_templates.jsonl: a template as a model ships it, a conversation, and what transformers 5.12 made
/// of it, which is a text or an error.
/// </summary>
public sealed record ChatTemplateCase(string Name, string Template, JsonObject Variables, string? Rendered, string? Error)
{
    /// <summary>All cases.</summary>
    public static IReadOnlyDictionary<string, ChatTemplateCase> All { get; } = Read();

    private static Dictionary<string, ChatTemplateCase> Read() =>
        File.ReadLines(Path.Combine(AppContext.BaseDirectory, "Fixtures", "chat_templates.jsonl"))
            .Select(line => JsonNode.Parse(line)!.AsObject())
            .Select(line => new ChatTemplateCase(
                (string)line["name"]!,
                (string)line["template"]!,
                line["variables"]!.AsObject(),
                (string?)line["rendered"],
                (string?)line["error"]))
            .ToDictionary(item => item.Name, StringComparer.Ordinal);
}
