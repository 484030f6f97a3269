using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Generation.Replies;
using LowRank.Server.Requests;
using LowRank.Server.Writing;
using LowRank.Serving;

namespace LowRank.Server.Responses;

/// <summary>The answer of /v1/responses: what was asked for, and the items that the model has written.</summary>
/// <param name="call">The request.</param>
/// <param name="ask">What was asked for.</param>
/// <param name="run">How it is written.</param>
internal sealed class ResponseObject(Call call, ChatAsk ask, ChatRun run)
{
    /// <summary>The types of items whose content is a text.</summary>
    public const string MessageType = "message", ReasoningType = "reasoning";

    private readonly List<JsonObject> items = [];

    /// <summary>Its name.</summary>
    public string Id { get; } = Call.NewId("resp_");

    /// <summary>The model that was asked for.</summary>
    public string Model => ask.Text.Model;

    /// <summary>The items so far.</summary>
    public IReadOnlyList<JsonObject> Items => items;

    /// <summary>Adds an item.</summary>
    public void Add(JsonObject item) => items.Add(item);

    /// <summary>Takes a whole reply.</summary>
    public void Take(CollectedReply collected)
    {
        Reply reply = collected.Reply;
        string status = collected.End == ServedEnd.Length ? "incomplete" : "completed";
        bool isOnlyThought = reply is { Content: null, Reasoning: not null, Calls.Count: 0 };
        if (reply.Reasoning is { } thoughts)
            Add(Reasoning(Call.NewId("rs_"), isOnlyThought ? status : "completed", [Thought(thoughts)]));
        if (reply.Content is not null || (reply.Calls.Count == 0 && !isOnlyThought))
            Add(Message(Call.NewId("msg_"), status, [Text(reply.Content ?? "", Shown(collected.Spoken))]));
        foreach (ReplyCall made in reply.Calls)
            Add(FunctionCall(Call.NewId("fc_"), status, made.Id, made.Name, made.Arguments));
    }

    /// <summary>A message of the assistant.</summary>
    public static JsonObject Message(string id, string status, JsonArray content) => new()
    {
        ["id"] = id, ["type"] = MessageType, ["status"] = status, ["role"] = "assistant", ["content"] = content,
    };

    /// <summary>The model's thoughts; a summary of them is not made.</summary>
    public static JsonObject Reasoning(string id, string status, JsonArray content) => new()
    {
        ["id"] = id, ["type"] = ReasoningType, ["status"] = status, ["summary"] = new JsonArray(),
        ["content"] = content,
    };

    /// <summary>A text of thoughts.</summary>
    public static JsonObject Thought(string text) => new() { ["type"] = "reasoning_text", ["text"] = text };

    /// <summary>A call of a tool.</summary>
    public static JsonObject FunctionCall(string id, string status, string callId, string name, string arguments) =>
        new()
        {
            ["id"] = id, ["type"] = "function_call", ["status"] = status, ["call_id"] = callId, ["name"] = name,
            ["arguments"] = arguments,
        };

    /// <summary>A text of a message.</summary>
    public static JsonObject Text(string text, JsonArray scores) => new()
    {
        ["type"] = "output_text", ["text"] = text, ["annotations"] = new JsonArray(), ["logprobs"] = scores,
    };

    /// <summary>Log-probabilities of tokens; a token without bytes of its own shows none.</summary>
    public JsonArray Shown(IReadOnlyList<ScoredToken> scored) => run.Tokens is not { } tokens ? []
        : [.. scored.Select(tokens.Show).Select(shown => new JsonObject
        {
            ["token"] = shown.Token, ["logprob"] = shown.Logprob, ["bytes"] = Numbers(shown.Bytes),
            ["top_logprobs"] = new JsonArray([.. shown.TopLogprobs.Select(other => (JsonNode)new JsonObject
            {
                ["token"] = other.Token, ["logprob"] = other.Logprob, ["bytes"] = Numbers(other.Bytes),
            })]),
        })];

    /// <summary>The answer before it is done.</summary>
    public JsonObject Begun() => Write("in_progress", null, null);

    /// <summary>The whole answer.</summary>
    public JsonObject Done(ServingUsage usage, ServedEnd? end) =>
        Write(end == ServedEnd.Length ? "incomplete" : "completed", usage, null);

    /// <summary>The answer of a request that failed after it had begun.</summary>
    public JsonObject Failed(ApiException error) => Write("failed", null, error);

    private JsonObject Write(string status, ServingUsage? usage, ApiException? error)
    {
        JsonObject answer = Asked(status, error);
        if (usage is not null) answer["usage"] = Used(usage);
        return answer;
    }

    private JsonObject Asked(string status, ApiException? error) => new()
    {
        ["id"] = Id,
        ["object"] = "response",
        ["created_at"] = call.Created,
        ["status"] = status,
        ["background"] = false,
        ["error"] = error is null ? null
            : new JsonObject { ["code"] = "server_error", ["message"] = error.Message },
        ["incomplete_details"] = status == "incomplete" ? new JsonObject { ["reason"] = "max_output_tokens" } : null,
        ["instructions"] = Given("instructions"),
        ["max_output_tokens"] = Given("max_output_tokens"),
        ["model"] = Model,
        ["output"] = new JsonArray([.. items.Select(item => item.DeepClone())]),
        ["parallel_tool_calls"] = ask.AllowsSeveralCalls,
        ["previous_response_id"] = null,
        ["reasoning"] = new JsonObject { ["effort"] = null, ["summary"] = null },
        ["store"] = false,
        ["temperature"] = Given("temperature") ?? 1,
        ["text"] = Given("text") ?? new JsonObject { ["format"] = new JsonObject { ["type"] = "text" } },
        ["tool_choice"] = Given("tool_choice") ?? "auto",
        ["tools"] = Tools(),
        ["top_logprobs"] = Given("top_logprobs") ?? 0,
        ["top_p"] = Given("top_p") ?? 1,
        ["truncation"] = "disabled",
        ["metadata"] = Given("metadata") ?? new JsonObject(),
    };

    private JsonObject Used(ServingUsage usage) => new()
    {
        ["input_tokens"] = usage.PromptTokens,
        ["input_tokens_details"] = new JsonObject
        {
            ["cached_tokens"] = usage.CachedTokens, ["cache_write_tokens"] = 0,
        },
        ["output_tokens"] = usage.NewTokens,
        ["output_tokens_details"] = new JsonObject { ["reasoning_tokens"] = ThoughtTokens() },
        ["total_tokens"] = usage.PromptTokens + usage.NewTokens,
    };

    // The engine does not tell thoughts from words: their text is counted.
    private int ThoughtTokens() => items.Where(item => item["type"]!.GetValue<string>() == ReasoningType)
        .Sum(item => run.Tokenizer.Encode(
            item["content"]![0]!["text"]!.GetValue<string>(), addSpecialTokens: false).Length);

    private JsonArray Tools() => [.. (ask.Tools ?? []).Select(tool =>
    {
        var function = (JsonObject)tool!["function"]!.DeepClone();
        function["type"] = "function";
        foreach (string name in (string[])["parameters", "strict"])
            if (!function.ContainsKey(name)) function[name] = null;
        return function;
    })];

    private static JsonArray Numbers(int[]? bytes) => [.. (bytes ?? []).Select(value => (JsonNode)value)];

    private JsonNode? Given(string name) =>
        call.Fields.Any(name) is { } value ? JsonNode.Parse(value.GetRawText()) : null;
}
