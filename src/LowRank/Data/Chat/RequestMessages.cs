using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace LowRank.Data.Chat;

/// <summary>Checks the messages of a request and gives them the form that chat templates read: contents are texts,
/// fields that no template reads are left out.</summary>
/// <param name="convention">How the model writes calls; null if it does not.</param>
/// <param name="toolObstacle">Why it does not.</param>
/// <param name="knowsDeveloper">Whether the template has the role <c>developer</c>; otherwise <c>system</c> is written
/// for it.</param>
internal sealed class RequestMessages(ToolConvention? convention, string? toolObstacle, bool knowsDeveloper)
{
    private const string Calls = "tool_calls", CallId = "tool_call_id";
    private const int MostProblems = 20;
    private static readonly string[] Roles = ["system", "developer", "user", "assistant", "tool"];

    private readonly List<Problem> problems = [];
    private long characters;

    /// <summary>The number of characters of the messages' texts and calls.</summary>
    public long Characters => characters;

    /// <summary>Reads the messages.</summary>
    /// <exception cref="InputException">Problems, each with its place, such as <c>messages[2].content[0]</c>.
    /// </exception>
    public JsonArray Read(JsonArray messages, ChatLimits limits)
    {
        if (messages.Count == 0) Wrong("messages", "it is empty, expected at least one message.");
        if (messages.Count > limits.Messages)
            Wrong("messages", $"it has {messages.Count} messages, expected at most {limits.Messages}.");
        ThrowIfWrong();
        JsonArray read = [];
        for (int i = 0; i < messages.Count && problems.Count < MostProblems; i++)
            read.Add((JsonNode?)Message(messages[i], $"messages[{i}]"));
        if (characters > limits.Characters)
            Wrong("messages", $"they hold {characters} characters, expected at most {limits.Characters}.");
        ThrowIfWrong();
        return read;
    }

    private JsonObject Message(JsonNode? node, string place)
    {
        JsonObject read = [];
        if (node is not JsonObject message)
        {
            Wrong(place, $"it is {Row.Describe(node)}, expected {{\"role\", \"content\"}}.");
            return read;
        }
        string role = Row.AsText(message["role"]) ?? "";
        if (!Roles.Contains(role))
        {
            Wrong($"{place}.role",
                $"it is {(role.Length > 0 ? $"\"{Short(role)}\"" : Row.Describe(message["role"]))}, expected one of " +
                $"{string.Join(", ", Roles)}.");
            return read;
        }
        read["role"] = role == "developer" && !knowsDeveloper ? "system" : role;
        bool calls = message[Calls] is JsonArray { Count: > 0 } or not (null or JsonArray);
        read["content"] = Content(message["content"], $"{place}.content", mayLack: role == "assistant"
            && (calls || message["refusal"] is not null)) ?? Row.AsText(message["refusal"]);
        if (Text(message, "name", place) is { } name) read["name"] = name;
        if (role == "assistant") Assistant(message, read, calls, place);
        else if (calls) Wrong($"{place}.{Calls}", $"it belongs to the role assistant, not to {role}.");
        if (role == "tool") Answer(message, read, place);
        return read;
    }

    private void Assistant(JsonObject message, JsonObject read, bool calls, string place)
    {
        if (Text(message, "reasoning_content", place) is { } thought) read["reasoning_content"] = thought;
        foreach (string refused in new[] { "function_call", "audio" })
            if (message[refused] is not null)
                Wrong($"{place}.{refused}", refused == "audio" ? "audio is not supported."
                    : "it is OpenAI's earlier form; write tool_calls.");
        if (!calls) return;
        if (message[Calls] is not JsonArray list)
        {
            Wrong($"{place}.{Calls}", $"it is {Row.Describe(message[Calls])}, expected a list of calls.");
            return;
        }
        if (convention is null)
        {
            Wrong($"{place}.{Calls}", $"{toolObstacle}.");
            return;
        }
        if (read["content"] is null && !convention.HasNullContent) read["content"] = "";
        read[Calls] = new JsonArray([.. list.Select((call, i) => Call(call, $"{place}.{Calls}[{i}]"))]);
    }

    private JsonObject Call(JsonNode? node, string place)
    {
        if (node is not JsonObject call || call["function"] is not JsonObject function
            || (call["type"] is { } type && Row.AsText(type) != "function"))
        {
            Wrong(place, "expected {\"id\", \"type\": \"function\", \"function\": {\"name\", \"arguments\"}}.");
            return [];
        }
        string? name = Text(function, "name", $"{place}.function"), id = Text(call, "id", place);
        if (string.IsNullOrEmpty(name)) Wrong($"{place}.function.name", "expected the name of the tool.");
        JsonNode? arguments = function["arguments"];
        string? text = Row.AsText(arguments);
        characters += text?.Length ?? arguments?.ToJsonString().Length ?? 0;
        JsonObject? parsed = arguments switch
        {
            null => [],
            JsonObject given => (JsonObject)given.DeepClone(),
            _ => text is null ? null : ToolCalls.Parsed(text),
        };
        if (parsed is null)
            Wrong($"{place}.function.arguments",
                $"it is {(text is null ? Row.Describe(arguments) : "not the text of a JSON object")}, expected a " +
                "JSON object as text.");
        return new JsonObject
        {
            ["id"] = Id(id ?? ""),
            ["type"] = "function",
            ["function"] = new JsonObject { ["name"] = name, ["arguments"] = parsed },
        };
    }

    private void Answer(JsonObject message, JsonObject read, string place)
    {
        if (convention is null) Wrong(place, $"it has the role tool, but {toolObstacle}.");
        if (Text(message, CallId, place) is { Length: > 0 } id) read[CallId] = Id(id);
        else Wrong($"{place}.{CallId}", "expected the id of the call that the message answers.");
    }

    // Mistral's templates refuse other ids. The same id becomes the same one in the call and its answer.
    private string Id(string id)
    {
        const int length = 9;
        if (convention?.HasShortIds != true || (id.Length == length && id.All(char.IsAsciiLetterOrDigit))) return id;
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(id)))[..length];
    }

    private string? Content(JsonNode? content, string place, bool mayLack)
    {
        switch (content)
        {
            case null when mayLack:
                return null;
            case JsonArray parts:
                if (parts.Count == 0 && !mayLack) Wrong(place, "it is empty, expected a text or parts of text.");
                // Parts are blocks of text, so they stay apart.
                return string.Join('\n', parts.Select((part, i) => Part(part, $"{place}[{i}]")));
            default:
                if (Row.AsText(content) is not { } text)
                    Wrong(place, $"it is {Row.Describe(content)}, expected a text or parts of text.");
                else
                {
                    characters += text.Length;
                    return text;
                }
                return null;
        }
    }

    private string Part(JsonNode? part, string place)
    {
        string? type = part is JsonObject ? Row.AsText(part["type"]) : null;
        if (type is not ("text" or "refusal"))
        {
            Wrong(place, type is null ? $"it is {Row.Describe(part)}, expected {{\"type\": \"text\", \"text\"}}."
                : $"it has the type {Short(type)}: only text is supported.");
            return "";
        }
        if (Row.AsText(part![type]) is not { } text)
        {
            Wrong($"{place}.{type}", $"it is {Row.Describe(part[type])}, expected a text.");
            return "";
        }
        characters += text.Length;
        return text;
    }

    private string? Text(JsonObject message, string key, string place)
    {
        if (message[key] is not { } value) return null;
        if (Row.AsText(value) is not { } text)
        {
            Wrong($"{place}.{key}", $"it is {Row.Describe(value)}, expected a text.");
            return null;
        }
        characters += text.Length;
        return text;
    }

    private void Wrong(string place, string problem) =>
        problems.Add(new Problem(problem) { Place = LowRank.Words.Plain(place) });

    private void ThrowIfWrong()
    {
        if (problems.Count > 0)
            throw problems.Count == 1 ? new InputException(problems[0])
                : new InputException("The messages cannot be used:", problems);
    }

    private static string Short(string text) => text.Length <= 40 ? text : text[..40] + "…";
}
