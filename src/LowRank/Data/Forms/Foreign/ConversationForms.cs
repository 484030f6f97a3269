using System.Text.Json;
using System.Text.Json.Nodes;

namespace LowRank.Data.Forms.Foreign;

/// <summary><c>{"conversation": [{"input", "output"}, …]}</c>, the form of Capybara.</summary>
internal sealed class ConversationForm : IForeignForm
{
    private const string Key = "conversation";

    public string Name => "Capybara's form (conversation with input and output)";

    public Words ReadAs => Words.Of($"messages");

    public bool Fits(JsonObject row) => row[Key] is JsonArray turns && !row.ContainsKey("messages") && turns.Count > 0
        && turns.All(turn => turn is JsonObject pair && pair.ContainsKey("input") && pair.ContainsKey("output"));

    public JsonObject Convert(JsonObject row)
    {
        var fields = new RowFields(row);
        var messages = new JsonArray();
        foreach (JsonObject turn in ((JsonArray)row[Key]!).Cast<JsonObject>())
        {
            foreach ((string key, string role) in new[] { ("input", "user"), ("output", "assistant") })
            {
                if (Row.AsText(turn[key]) is { } words)
                    messages.Add(new JsonObject { ["role"] = role, ["content"] = words });
                else
                    fields.Problem(
                        $"\"conversation\"[{messages.Count / 2}].\"{key}\" is {Row.Describe(turn[key])}, " +
                        "expected a text.");
            }
        }
        fields.ThrowIfWrong();
        row.Remove(Key);
        row["messages"] = messages;
        return row;
    }
}

/// <summary>TRL's conversational prompt and completion, both lists of messages; only the completion's turns are
/// learned.</summary>
internal sealed class ConversationalPromptForm : IForeignForm
{
    public string Name => "TRL's conversational form (prompt and completion as messages)";

    public Words ReadAs => Words.Of($"messages; only the completion's are learned");

    public bool Fits(JsonObject row) =>
        row["prompt"] is JsonArray && row["completion"] is JsonArray && !row.ContainsKey("label");

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
            // parsed as JSON, like a value from the data
            if (asked is JsonObject turn && Row.AsText(turn["role"]) == "assistant")
                turn["weight"] = JsonNode.Parse("0");
            messages.Add(asked);
        }
        foreach (JsonNode? message in completion) messages.Add(message?.DeepClone());
        foreach (string key in (string[])["prompt", "completion", "tools"]) row.Remove(key);
        row["messages"] = messages;
        if (tools is { Count: > 0 }) row["tools"] = tools;
        return row;
    }
}

/// <summary>Messages with a text or a prompt that repeats part of them, as in UltraChat: the row is a
/// conversation.</summary>
internal sealed class MessagesBesideForm : IForeignForm
{
    private static readonly string[] Repeated = ["text", "prompt", "completion"];

    public string Name => "messages and a text or prompt beside them";

    public Words ReadAs => Words.Of($"messages; the other fields are not learned");

    public bool Fits(JsonObject row) => row["messages"] is JsonArray && Repeated.Any(row.ContainsKey);

    public JsonObject Convert(JsonObject row)
    {
        foreach (string key in Repeated) row.Remove(key);
        return row;
    }
}

/// <summary>OpenAI's fine-tuning data: <c>{"messages": […][, "tools", "parallel_tool_calls"]}</c> with <c>"weight":
/// 0</c> at the assistant's turns that are not learned.</summary>
internal sealed class OpenAiForm : IForeignForm
{
    public string Name => "OpenAI's fine-tuning form (messages with weight, or tools as text)";

    public Words ReadAs => Words.Of($"messages; turns with weight 0 are not learned");

    public bool Fits(JsonObject row) => row["messages"] is JsonArray messages
        && (row.ContainsKey("parallel_tool_calls") || row.ContainsKey("functions")
        || Row.AsText(row["tools"]) is not null
            || messages.Any(message => message is JsonObject turn && turn.ContainsKey("weight")));

    public JsonObject Convert(JsonObject row)
    {
        var fields = new RowFields(row);
        if (row.ContainsKey("functions"))
            fields.Problem(
                "\"functions\" is OpenAI's earlier form of tools. Write \"tools\": [{\"type\": \"function\", " +
                "\"function\": {…}}].");
        JsonArray? tools = ToolList.Read(row, fields);
        fields.ThrowIfWrong();
        row.Remove("parallel_tool_calls");
        row.Remove("tools");
        if (tools is { Count: > 0 }) row["tools"] = tools;
        return row;
    }
}

/// <summary><c>{"conversations": [{"from": "human", "value": "…"}, …][, "system", "tools"]}</c>, as ShareGPT's data has
/// it; with <c>"role"</c> and <c>"content"</c> too.</summary>
internal sealed class ShareGptForm : IForeignForm
{
    private static readonly Dictionary<string, string> Roles = new(StringComparer.OrdinalIgnoreCase)
    {
        ["human"] = "user", ["user"] = "user", ["gpt"] = "assistant", ["chatgpt"] = "assistant",
            ["assistant"] = "assistant", ["model"] = "assistant",
        ["bing"] = "assistant", ["bard"] = "assistant", ["system"] = "system", ["tool"] = "tool",
            ["observation"] = "tool", ["function_call"] = "assistant",
    };

    public string Name => "ShareGPT's form (conversations)";

    public Words ReadAs => Words.Of($"messages");

    public bool Fits(JsonObject row) => !row.ContainsKey("messages") && (row.ContainsKey("conversations")
        // the form of LMSYS-Chat
        || (row["conversation"] is JsonArray turns
            && turns.Any(turn => turn is JsonObject entry
            && (entry.ContainsKey("from") || entry.ContainsKey("role")))));

    public JsonObject Convert(JsonObject row)
    {
        var fields = new RowFields(row);
        var messages = new JsonArray();
        string key = row.ContainsKey("conversations") ? "conversations" : "conversation";
        if (row[key] is not JsonArray turns)
            fields.Problem($"\"{key}\" is {Row.Describe(row[key])}, expected a list of {{\"from\", \"value\"}}.");
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
        if (turn is not JsonObject entry || Row.AsText(entry["from"] ?? entry["role"]) is not { } from)
        {
            fields.Problem($"{name} has no \"from\". Expected {{\"from\": \"human\", \"value\": \"…\"}}.");
            return null;
        }
        string? value = Row.AsText(entry["value"] ?? entry["content"]);
        if (!Roles.TryGetValue(from, out string? role))
            fields.Problem($"{name}.\"from\" is \"{from}\", expected one of {string.Join(", ", Roles.Keys)}.");
        else if (value is null)
            fields.Problem(
                $"{name}.\"value\" is {Row.Describe(entry["value"] ?? entry["content"])}, expected a text.");
        else if (from.Equals("function_call", StringComparison.OrdinalIgnoreCase)) return Call(value, name, fields);
        else
        {
            var message = new JsonObject { ["role"] = role, ["content"] = value };
            if (entry["weight"] is { } weight) message["weight"] = weight.DeepClone();
            return message;
        }
        return null;
    }

    // One call, or a list of simultaneous calls.
    private static JsonObject? Call(string value, string name, RowFields fields)
    {
        JsonNode? read = null;
        try
        {
            read = JsonNode.Parse(value, documentOptions: new JsonDocumentOptions { AllowDuplicateProperties = false });
        }
        catch (JsonException)
        {
            // reported below, like any other value that is not a call
        }
        JsonNode?[] calls = read is JsonArray list ? [.. list] : [read];
        if (calls.Length > 0 && calls.All(call => call is JsonObject && Row.AsText(call["name"]) is not null))
            return new JsonObject { ["role"] = "assistant", ["content"] = "",
                ["tool_calls"] = new JsonArray([.. calls.Select(call => Function(call!))]) };
        fields.Problem(
            $"{name} is a function call, and its \"value\" is neither a JSON object {{\"name\", \"arguments\"}} " +
            "nor a list of them.");
        return null;
    }

    private static JsonObject Function(JsonNode call) => new()
    {
        ["type"] = "function",
        ["function"] =
            new JsonObject { ["name"] = call["name"]!.DeepClone(), ["arguments"] = call["arguments"]?.DeepClone() },
    };
}

/// <summary>Tools as a list or as its JSON text, for tables whose columns can only hold texts.</summary>
internal static class ToolList
{
    /// <summary>A new list; null if there are none.</summary>
    public static JsonArray? Read(JsonObject row, RowFields fields)
    {
        JsonNode? tools = row["tools"];
        if (tools is null || Row.AsText(tools) is { } blank && string.IsNullOrWhiteSpace(blank)) return null;
        try
        {
            if ((Row.AsText(tools) is { } text ? JsonNode.Parse(text) : tools.DeepClone()) is JsonArray list)
                return list;
        }
        catch (JsonException)
        {
            // reported below, like any other text that is not a list
        }
        fields.Problem(
            $"\"tools\" is {Row.Describe(tools)}, expected a list of tools, or a text that holds one as JSON.");
        return null;
    }
}
