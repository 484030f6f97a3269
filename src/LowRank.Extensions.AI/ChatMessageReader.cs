using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.AI;

namespace LowRank.Extensions.AI;

using ChatMessage = Microsoft.Extensions.AI.ChatMessage; // of the two that are in reach

/// <summary>Gives messages the form of OpenAI's API, which chat templates read.</summary>
internal sealed class ChatMessageReader
{
    private readonly List<string> problems = [];
    private readonly Dictionary<string, string> called = new(StringComparer.Ordinal); // the tool of each call

    /// <summary>Reads a conversation.</summary>
    /// <param name="instructions">What is said before it to the model; null for nothing. A first system message is
    /// appended, because many templates know one only.</param>
    /// <param name="messages">The messages.</param>
    /// <exception cref="InputException">There is none, or some hold what the model cannot read: all problems at
    /// once.</exception>
    public static JsonArray Read(string? instructions, IReadOnlyList<ChatMessage> messages)
    {
        if (messages.Count == 0)
            throw new InputException("The conversation has no message. Expected one at least, which asks.");
        var reader = new ChatMessageReader();
        List<JsonObject> read =
            [.. messages.Index().SelectMany(message => reader.Message(message.Item, message.Index))];
        if (reader.problems.Count > 0)
            throw new InputException("The conversation cannot be used:", reader.problems);
        if (!string.IsNullOrWhiteSpace(instructions)) Instruct(read, instructions);
        return [.. read];
    }

    private static void Instruct(List<JsonObject> messages, string instructions)
    {
        if (messages[0]["role"]!.GetValue<string>() != "system")
        {
            messages.Insert(0, new JsonObject { ["role"] = "system", ["content"] = instructions });
            return;
        }
        string said = messages[0]["content"]!.GetValue<string>();
        messages[0]["content"] = said.Length == 0 ? instructions : $"{instructions}\n\n{said}";
    }

    private IEnumerable<JsonObject> Message(ChatMessage? message, int index)
    {
        if (message is null)
        {
            problems.Add($"messages[{index}] is null, expected a message.");
            return [];
        }
        Parts parts = new();
        foreach ((int number, AIContent content) in message.Contents.Index())
            if (!Take(parts, content))
                problems.Add(
                    $"messages[{index}].Contents[{number}] is a {content.GetType().Name}: the model reads texts, " +
                    "calls of functions and their results. Leave it out.");
        bool isTool = message.Role == ChatRole.Tool;
        if (isTool == (parts.Results.Count == 0) || (isTool && parts.Said.Length > 0))
            problems.Add(
                $"messages[{index}] has the role {message.Role} and {parts.Results.Count} function results. Results " +
                "stand alone, in messages of the role tool.");
        if (parts.Calls.Count > 0 && message.Role != ChatRole.Assistant)
            problems.Add($"messages[{index}] has the role {message.Role}; only the assistant's messages have calls.");
        return isTool ? parts.Results : [Spoken(message, parts)];
    }

    private static JsonObject Spoken(ChatMessage message, Parts parts)
    {
        var spoken = new JsonObject { ["role"] = message.Role.Value };
        spoken["content"] = parts.Said.Length == 0 && parts.Calls.Count > 0 ? null : parts.Said;
        if (parts.Thought.Length > 0) spoken["reasoning_content"] = parts.Thought;
        if (parts.Calls.Count > 0) spoken["tool_calls"] = parts.Calls;
        if (!string.IsNullOrWhiteSpace(message.AuthorName)) spoken["name"] = message.AuthorName;
        return spoken;
    }

    private bool Take(Parts parts, AIContent content)
    {
        switch (content)
        {
            case TextContent text:
                parts.Said += text.Text;
                return true;
            case TextReasoningContent thought:
                parts.Thought += thought.Text;
                return true;
            case FunctionCallContent call:
                called[call.CallId] = call.Name;
                parts.Calls.Add((JsonNode)Call(call));
                return true;
            case FunctionResultContent result:
                parts.Results.Add(Result(result));
                return true;
            default:
                return content is UsageContent; // says what an earlier answer took
        }
    }

    private static JsonObject Call(FunctionCallContent call) => new()
    {
        ["id"] = call.CallId,
        ["type"] = "function",
        ["function"] = new JsonObject
        {
            ["name"] = call.Name,
            ["arguments"] = JsonForms.Arguments(call.Arguments),
        },
    };

    private JsonObject Result(FunctionResultContent result)
    {
        var said = new JsonObject
        {
            ["role"] = "tool", ["tool_call_id"] = result.CallId, ["content"] = Text(result),
        };
        if (called.TryGetValue(result.CallId, out string? name)) said["name"] = name;
        return said;
    }

    // A text is what the model reads; everything else is shown as JSON.
    private static string Text(FunctionResultContent result) => result.Result switch
    {
        null => result.Exception is { } fault ? $"Error: {fault.Message}" : "",
        string text => text,
        TextContent text => text.Text,
        JsonElement { ValueKind: JsonValueKind.String } element => element.GetString()!,
        { } value => JsonForms.Text(value),
    };

    private sealed class Parts
    {
        public string Said { get; set; } = "";

        public string Thought { get; set; } = "";

        public JsonArray Calls { get; } = [];

        public List<JsonObject> Results { get; } = [];
    }
}
