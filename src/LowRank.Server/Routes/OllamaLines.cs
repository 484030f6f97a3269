using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Generation.Replies;
using LowRank.Server.Requests;
using LowRank.Server.Responses;
using LowRank.Server.Writing;
using LowRank.Serving;

namespace LowRank.Server.Routes;

/// <summary>Writes an answer in Ollama's form, whole or in lines.</summary>
internal abstract class OllamaLines
{
    /// <summary>Sends what is new.</summary>
    public abstract Task Part(Reply reply);

    /// <summary>Sends the last line.</summary>
    public abstract Task End(TextRun run, ServedEnd? end);

    /// <summary>Answers with everything.</summary>
    public abstract Task Whole(Call call, Reply reply, TextRun run, ServedEnd? end);

    /// <summary>Adds what the work took.</summary>
    protected static T Count<T>(T answer, TextRun run, ServedEnd? end) where T : OllamaNumbers => (T)(answer with
    {
        DoneReason = end == ServedEnd.Length ? "length" : "stop",
        TotalDuration = OllamaRoutes.Nanoseconds(run.Elapsed),
        LoadDuration = 0,
        PromptEvalCount = run.Usage.PromptTokens,
        PromptEvalDuration = OllamaRoutes.Nanoseconds(run.Times.Prefill),
        EvalCount = run.Usage.NewTokens,
        EvalDuration = OllamaRoutes.Nanoseconds(run.Times.Decode),
    });
}

/// <summary>Lines of /api/chat.</summary>
internal sealed class ChatLines(EventStream events, string model) : OllamaLines
{
    public override Task Part(Reply reply) =>
        events.Send(Answer(reply, isDone: false), ServerJson.Own.OllamaChatAnswer);

    public override Task End(TextRun run, ServedEnd? end) => events.Send(
        Count(Answer(new Reply(null, null, []), isDone: true), run, end), ServerJson.Own.OllamaChatAnswer);

    public override Task Whole(Call call, Reply reply, TextRun run, ServedEnd? end) =>
        call.Answer(Count(Answer(reply, isDone: true), run, end), ServerJson.Own.OllamaChatAnswer);

    private OllamaChatAnswer Answer(Reply reply, bool isDone) => new(model, OllamaRoutes.Now(),
        new OllamaMessage("assistant", reply.Content ?? "")
        {
            Thinking = reply.Reasoning,
            ToolCalls = reply.Calls.Count == 0 ? null : [.. reply.Calls.Select(one =>
                new OllamaCall(new OllamaFunction(one.Name, Arguments(one.Arguments))))],
        }, isDone);

    // Arguments that were cut off are no JSON: the form has no other place for them.
    private static JsonObject Arguments(string json)
    {
        try
        {
            return JsonNode.Parse(json) as JsonObject ?? [];
        }
        catch (JsonException)
        {
            return new JsonObject { ["incomplete"] = json };
        }
    }
}

/// <summary>Lines of /api/generate.</summary>
internal sealed class TextLines(EventStream events, string model) : OllamaLines
{
    public override Task Part(Reply reply) => events.Send(
        new OllamaTextAnswer(model, OllamaRoutes.Now(), reply.Content ?? "", false), ServerJson.Own.OllamaTextAnswer);

    public override Task End(TextRun run, ServedEnd? end) => events.Send(
        Count(new OllamaTextAnswer(model, OllamaRoutes.Now(), "", true), run, end), ServerJson.Own.OllamaTextAnswer);

    public override Task Whole(Call call, Reply reply, TextRun run, ServedEnd? end) => call.Answer(
        Count(new OllamaTextAnswer(model, OllamaRoutes.Now(), reply.Content ?? "", true), run, end),
        ServerJson.Own.OllamaTextAnswer);
}
