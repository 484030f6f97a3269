using System.Text.Json.Nodes;

namespace LowRank.Data.Forms.Foreign;

/// <summary>TRL's conversational prompt and completion, lists of messages both: the completion's turns alone are learned.</summary>
internal sealed class ConversationalPromptForm : IForeignForm
{
    public string Name => "TRL's conversational form (prompt and completion as messages)";

    public string ReadAs => "messages of which the completion's are learned";

    public bool Fits(JsonObject row) => row["prompt"] is JsonArray && row["completion"] is JsonArray && !row.ContainsKey("label");

    public JsonObject Convert(JsonObject row)
    {
        var prompt = (JsonArray)row["prompt"]!;
        var completion = (JsonArray)row["completion"]!;
        var fields = new RowFields(row);
        if (completion.Count == 0) fields.Problem("\"completion\" is an empty list. Expected the messages to learn.");
        JsonArray? tools = ToolList.Read(row, fields);
        fields.ThrowIfWrong();
        var messages = new JsonArray();
        foreach (JsonNode? message in prompt)
        {
            JsonNode? asked = message?.DeepClone();
            if (asked is JsonObject turn && Sample.AsText(turn["role"]) == "assistant") turn["weight"] = JsonNode.Parse("0"); // as if the data had it: a number of any type
            messages.Add(asked);
        }
        foreach (JsonNode? message in completion) messages.Add(message?.DeepClone());
        foreach (string key in (string[])["prompt", "completion", "tools"]) row.Remove(key);
        row["messages"] = messages;
        if (tools is { Count: > 0 }) row["tools"] = tools;
        return row;
    }
}
