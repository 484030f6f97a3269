using System.Text.Json;
using System.Text.Json.Nodes;

namespace LowRank.Data.Forms.Foreign;

/// <summary><c>{"conversations": [{"from": "human", "value": "…"}, …][, "system", "tools"]}</c>, as ShareGPT's data has it; with
/// <c>"role"</c> and <c>"content"</c> too.</summary>
internal sealed class ShareGptForm : IForeignForm
{
    private static readonly Dictionary<string, string> Roles = new(StringComparer.OrdinalIgnoreCase)
    {
        ["human"] = "user", ["user"] = "user", ["gpt"] = "assistant", ["chatgpt"] = "assistant", ["assistant"] = "assistant", ["model"] = "assistant",
        ["bing"] = "assistant", ["bard"] = "assistant", ["system"] = "system", ["tool"] = "tool", ["observation"] = "tool", ["function_call"] = "assistant",
    };

    public string Name => "ShareGPT's form (conversations)";

    public string ReadAs => "messages";

    public bool Fits(JsonObject row) => !row.ContainsKey("messages") && (row.ContainsKey("conversations")
        || (row["conversation"] is JsonArray turns && turns.Any(turn => turn is JsonObject entry && (entry.ContainsKey("from") || entry.ContainsKey("role"))))); // as LMSYS-Chat has it

    public JsonObject Convert(JsonObject row)
    {
        var fields = new RowFields(row);
        var messages = new JsonArray();
        string key = row.ContainsKey("conversations") ? "conversations" : "conversation";
        if (row[key] is not JsonArray turns) fields.Problem($"\"{key}\" is {Sample.Describe(row[key])}, expected a list of {{\"from\", \"value\"}}.");
        else
            for (int i = 0; i < turns.Count; i++)
                if (Message(turns[i], $"\"{key}\"[{i}]", fields) is { } message) messages.Add(message);
        string system = row["system"] is null ? "" : fields.AnyText("system");
        JsonArray? tools = ToolList.Read(row, fields);
        fields.ThrowIfWrong();
        if (system.Length > 0) messages.Insert(0, new JsonObject { ["role"] = "system", ["content"] = system });
        foreach (string read in (string[])[key, "system", "tools"]) row.Remove(read);
        row["messages"] = messages;
        if (tools is { Count: > 0 }) row["tools"] = tools;
        return row;
    }

    private static JsonObject? Message(JsonNode? turn, string name, RowFields fields)
    {
        if (turn is not JsonObject entry || Sample.AsText(entry["from"] ?? entry["role"]) is not { } from)
        {
            fields.Problem($"{name} has no \"from\". Expected {{\"from\": \"human\", \"value\": \"…\"}}.");
            return null;
        }
        string? value = Sample.AsText(entry["value"] ?? entry["content"]);
        if (!Roles.TryGetValue(from, out string? role)) fields.Problem($"{name}.\"from\" is \"{from}\", expected one of {string.Join(", ", Roles.Keys)}.");
        else if (value is null) fields.Problem($"{name}.\"value\" is {Sample.Describe(entry["value"] ?? entry["content"])}, expected a text.");
        else if (from.Equals("function_call", StringComparison.OrdinalIgnoreCase)) return Call(value, name, fields);
        else
        {
            var message = new JsonObject { ["role"] = role, ["content"] = value };
            if (entry["weight"] is { } weight) message["weight"] = weight.DeepClone();
            return message;
        }
        return null;
    }

    // One call, or a list of those that are made at once.
    private static JsonObject? Call(string value, string name, RowFields fields)
    {
        JsonNode? read = null;
        try
        {
            read = JsonNode.Parse(value, documentOptions: new JsonDocumentOptions { AllowDuplicateProperties = false });
        }
        catch (JsonException)
        {
            // said below, as any other value that is no call
        }
        JsonNode?[] calls = read is JsonArray list ? [.. list] : [read];
        if (calls.Length > 0 && calls.All(call => call is JsonObject && Sample.AsText(call["name"]) is not null))
            return new JsonObject { ["role"] = "assistant", ["content"] = "", ["tool_calls"] = new JsonArray([.. calls.Select(call => Function(call!))]) };
        fields.Problem($"{name} is a function call, and its \"value\" is neither a JSON object {{\"name\", \"arguments\"}} nor a list of them.");
        return null;
    }

    private static JsonObject Function(JsonNode call) => new()
    {
        ["type"] = "function",
        ["function"] = new JsonObject { ["name"] = call["name"]!.DeepClone(), ["arguments"] = call["arguments"]?.DeepClone() },
    };
}
