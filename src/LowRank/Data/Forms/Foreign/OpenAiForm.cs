using System.Text.Json.Nodes;

namespace LowRank.Data.Forms.Foreign;

/// <summary>OpenAI's fine-tuning data: <c>{"messages": […][, "tools", "parallel_tool_calls"]}</c> with <c>"weight": 0</c> at the
/// assistant's turns that are not learned.</summary>
internal sealed class OpenAiForm : IForeignForm
{
    public string Name => "OpenAI's fine-tuning form (messages with weight, or tools as text)";

    public string ReadAs => "messages; turns of weight 0 are not learned";

    public bool Fits(JsonObject row) => row["messages"] is JsonArray messages
        && (row.ContainsKey("parallel_tool_calls") || row.ContainsKey("functions") || Sample.AsText(row["tools"]) is not null
            || messages.Any(message => message is JsonObject turn && turn.ContainsKey("weight")));

    public JsonObject Convert(JsonObject row)
    {
        var fields = new RowFields(row);
        if (row.ContainsKey("functions")) fields.Problem("\"functions\" is OpenAI's earlier form of tools. Write \"tools\": [{\"type\": \"function\", \"function\": {…}}].");
        JsonArray? tools = ToolList.Read(row, fields);
        fields.ThrowIfWrong();
        row.Remove("parallel_tool_calls");
        row.Remove("tools");
        if (tools is { Count: > 0 }) row["tools"] = tools;
        return row;
    }
}
