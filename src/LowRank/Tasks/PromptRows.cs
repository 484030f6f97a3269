using System.Text.Json.Nodes;
using LowRank.Data;
using LowRank.Data.Rows;

namespace LowRank.Tasks;

/// <summary>Rows that a model is to continue or turn: a prompt, or a conversation up to where the assistant is to
/// speak.</summary>
internal static class PromptRows
{
    /// <summary>Reads them, in any form that training reads.</summary>
    /// <param name="source">The rows.</param>
    /// <param name="referenced">Whether each needs a text to compare with.</param>
    /// <param name="notes">Receives what was met while reading, a sentence each; null for nobody.</param>
    /// <exception cref="InputException">Rows that cannot be used, all at once.</exception>
    public static IReadOnlyList<Sample> Read(RowSource source, bool referenced, ICollection<string>? notes) =>
        RowReader.Read(source, sample =>
    {
        if (Conversation(sample) is null && sample.Text("prompt") is null)
            throw new InputException(Sample.Lacks(sample.Row, "prompt"));
        if (referenced && References(sample).Count == 0)
            throw new InputException(
                Sample.Lacks(sample.Row, "completion") + " Or give \"references\", a list of texts.");
        return new[] { sample };
    }, notes, foreign: true);

    /// <summary>What rows share that ask the same.</summary>
    public static string Prompt(Sample row) => Conversation(row)?.ToJsonString() ?? row.Text("prompt")
        ?? throw new InputException($"{row.Place}: {Sample.Lacks(row.Row, "prompt")}");

    /// <summary>The texts that the row itself gives.</summary>
    public static IReadOnlyList<string> References(Sample row)
    {
        if (row.Texts("references") is { Count: > 0 } several) return several;
        string? one = row.Row["messages"] is JsonArray messages ? messages.Count > 0 && IsAssistant(messages[^1])
            ? Sample.AsText(messages[^1]!["content"]) : null : row.Text("completion");
        return one is null ? [] : [one];
    }

    /// <summary>A conversation without the assistant's last words; null where the row is none.</summary>
    public static JsonArray? Conversation(Sample row)
    {
        if (row.Row["messages"] is not JsonArray messages) return null;
        int asked = messages.Count;
        while (asked > 0 && IsAssistant(messages[asked - 1])) asked--;
        if (asked == 0)
            throw new InputException(
                $"\"messages\" has no turn that asks; expected one of the user's before the assistant's.");
        return new JsonArray([.. messages.Take(asked).Select(message => message?.DeepClone())]);
    }

    private static bool IsAssistant(JsonNode? message) =>
        message is JsonObject turn && Sample.AsText(turn["role"]) == "assistant";
}
