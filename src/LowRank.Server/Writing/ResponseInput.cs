using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Server.Requests;

namespace LowRank.Server.Writing;

/// <summary>The input of OpenAI's Responses as the messages of its chat completions.</summary>
internal static class ResponseInput
{
    private const int MostParts = 1024;

    /// <summary>Reads <c>input</c>: a text, or messages, calls and their results; and <c>instructions</c>, which come
    /// first.</summary>
    public static JsonArray Read(Call call)
    {
        RequestFields fields = call.Fields;
        JsonArray messages = [];
        if (fields.Text("instructions") is { } instructions) messages.Add((JsonNode)Message("system", instructions));
        fields.Require("input");
        if (fields.Any("input") is { ValueKind: JsonValueKind.String } text)
        {
            messages.Add((JsonNode)Message("user", text.GetString()!));
            return messages;
        }
        foreach (RequestFields item in fields.Objects("input", call.Limits.Messages) ?? [])
        {
            Add(messages, item);
            item.RefuseOthers();
        }
        if (messages.Count == 0 && fields.Has("input"))
            fields.Problem("input", "is empty, expected one message at least");
        return messages;
    }

    private static void Add(JsonArray messages, RequestFields item)
    {
        item.Accept("id", "status");
        switch (item.Text("type") ?? "message")
        {
            case "message":
                item.Accept("phase");
                string role = item.RequiredText("role");
                item.Require("content");
                messages.Add((JsonNode)Message(role, Content(item)));
                break;
            case "function_call":
                Call(messages, item);
                break;
            case "function_call_output":
                var result = Message("tool", Output(item));
                result["tool_call_id"] = item.RequiredText("call_id");
                messages.Add((JsonNode)result);
                break;
            case "reasoning":
                item.Accept("summary", "content", "encrypted_content"); // thoughts of earlier turns are not shown again
                break;
            default:
                item.Problem("type", "is not supported, expected message, function_call or function_call_output");
                break;
        }
    }

    // Calls of one turn are one message of the assistant.
    private static void Call(JsonArray messages, RequestFields item)
    {
        JsonObject made = new()
        {
            ["id"] = item.RequiredText("call_id"),
            ["type"] = "function",
            ["function"] = new JsonObject
            {
                ["name"] = item.RequiredText("name"), ["arguments"] = item.RequiredText("arguments"),
            },
        };
        if (messages.Count > 0 && messages[^1] is JsonObject last && last["role"]?.GetValue<string>() == "assistant")
        {
            if (last["tool_calls"] is JsonArray calls) calls.Add((JsonNode)made);
            else last["tool_calls"] = new JsonArray(made);
            return;
        }
        messages.Add((JsonNode)new JsonObject
        {
            ["role"] = "assistant", ["content"] = null, ["tool_calls"] = new JsonArray(made),
        });
    }

    private static string Output(RequestFields item)
    {
        item.Require("output");
        return item.Any("output") is { ValueKind: JsonValueKind.String } text ? text.GetString()!
            : Joined(item, "output");
    }

    private static string Content(RequestFields item) =>
        item.Any("content") is { ValueKind: JsonValueKind.String } text ? text.GetString()! : Joined(item, "content");

    private static string Joined(RequestFields item, string name)
    {
        List<string> texts = [];
        foreach (RequestFields part in item.Objects(name, MostParts) ?? [])
        {
            string? type = part.Word("type", "input_text", "output_text", "text");
            part.Require("type");
            part.Accept("annotations", "logprobs");
            if (type is not null) texts.Add(part.RequiredText("text"));
            else part.Accept("text", "image_url", "detail", "file_id", "file_data", "filename", "refusal");
            part.RefuseOthers();
        }
        return string.Concat(texts);
    }

    private static JsonObject Message(string role, string content) => new() { ["role"] = role, ["content"] = content };
}
