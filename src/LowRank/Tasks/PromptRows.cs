using System.Text.Json.Nodes;
using LowRank.Data;
using LowRank.Data.Rows;

namespace LowRank.Tasks;

/// <summary>Rows for a model to continue or transform: a prompt, or a conversation up to the point where the assistant
/// speaks.</summary>
internal static class PromptRows
{
    /// <summary>Reads the rows, in any form that training accepts.</summary>
    /// <param name="source">The rows.</param>
    /// <param name="referenced">Whether each row needs a reference text.</param>
    /// <param name="notes">Receives notes from reading, one sentence each; may be null.</param>
    /// <exception cref="InputException">Some rows cannot be used; lists all of them.</exception>
    public static IReadOnlyList<Row> Read(RowSource source, bool referenced, ICollection<Words>? notes) =>
        RowReader.Read(source, row =>
    {
        if (Conversation(row) is null && row.Text("prompt") is null)
            throw new InputException(Row.Lacking(row.Fields, "prompt"));
        if (referenced && References(row).Count == 0)
            throw new InputException(
                Row.Lacking(row.Fields, "completion", "Or give \"references\", a list of texts."));
        return new[] { row };
    }, notes, foreign: true);

    /// <summary>The key that rows with the same prompt share.</summary>
    public static string Prompt(Row row) => Conversation(row)?.ToJsonString() ?? row.Text("prompt")
        ?? throw new InputException(Row.Lacking(row.Fields, "prompt") with { Place = $"{row.Place}" });

    /// <summary>The reference texts of the row.</summary>
    public static IReadOnlyList<string> References(Row row)
    {
        if (row.Texts("references") is { Count: > 0 } several) return several;
        string? one = row.Fields["messages"] is JsonArray messages ? messages.Count > 0 && IsAssistant(messages[^1])
            ? Row.AsText(messages[^1]!["content"]) : null : row.Text("completion");
        return one is null ? [] : [one];
    }

    /// <summary>A conversation without the assistant's last turn; null if the row is not a conversation.</summary>
    public static JsonArray? Conversation(Row row)
    {
        if (row.Fields["messages"] is not JsonArray messages) return null;
        int asked = messages.Count;
        while (asked > 0 && IsAssistant(messages[asked - 1])) asked--;
        if (asked == 0)
            throw new InputException(
                $"\"messages\" contains no question; expected a user's turn before the assistant's.");
        return new JsonArray([.. messages.Take(asked).Select(message => message?.DeepClone())]);
    }

    private static bool IsAssistant(JsonNode? message) =>
        message is JsonObject turn && Row.AsText(turn["role"]) == "assistant";
}
