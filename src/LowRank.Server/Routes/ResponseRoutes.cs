using System.Text.Json.Nodes;
using LowRank.Server.Requests;
using LowRank.Server.Responses;
using LowRank.Server.Writing;
using LowRank.Generation.Replies;
using LowRank.Serving;
using Microsoft.AspNetCore.Routing;

namespace LowRank.Server.Routes;

/// <summary>POST /v1/responses, without what needs a store: each request brings its whole conversation.</summary>
internal static class ResponseRoutes
{
    private const int MostLikely = 20;
    private const string LogProbsOf = "message.output_text.logprobs";

    public static void Map(IEndpointRouteBuilder routes, Api api) => api.Post(routes, "/v1/responses", Answer);

    private static async Task Answer(Call call)
    {
        StreamFields stream = StreamFields.Read(call.Fields);
        ChatAsk ask = Read(call, stream.IsAsked);
        call.Fields.End();
        ChatRun run = await ChatRun.StartAsync(call, ask).ConfigureAwait(false);
        await using var ending = run.ConfigureAwait(false);
        var answer = new ResponseObject(call, ask, run);
        if (stream.IsAsked)
        {
            var events = new ResponseEvents(new EventStream(call), answer);
            await events.Run(() => Stream(call, run, events)).ConfigureAwait(false);
            return;
        }
        CollectedReply reply = (await CollectedReply.Read(run.Texts, run.Work, call.Left)
            .ConfigureAwait(false))[0];
        answer.Take(reply);
        await call.Answer(answer.Done(run.Texts.Took(), reply.End), ServerJson.Own.JsonObject).ConfigureAwait(false);
    }

    private static async Task Stream(Call call, ChatRun run, ResponseEvents events)
    {
        ReplyReader reader = run.Work.Reader(0);
        ServedEnd? end = null;
        await foreach (ServedPiece piece in run.Texts.Pieces(call.Left).ConfigureAwait(false))
        {
            await events.Begin().ConfigureAwait(false);
            List<ReplyPart> parts = piece.ReadBy(reader);
            end = piece.End;
            await events.Take(parts, piece.Tokens, reader.Holds).ConfigureAwait(false);
            if (reader.IsDone) break;
        }
        await events.End(run.Texts.Took(), end).ConfigureAwait(false);
    }

    private static ChatAsk Read(Call call, bool isStreamed)
    {
        RequestFields fields = call.Fields;
        TextFields text = TextFields.Read(call, call.Served.Context, 1, "max_output_tokens");
        if (text.Count != 1) fields.Problem("n", "is not a field of this request", "unknown_parameter");
        fields.Accept("max_tool_calls"); // limits tools that run on the server, of which there are none
        fields.Word("truncation", "disabled");
        if (fields.Flag("store") == true) fields.Problem("store", "is not supported: nothing is stored");
        if (fields.Flag("background") == true) fields.Problem("background", "is not supported");
        fields.Refuse("is not supported: nothing is stored; send the whole conversation as `input`",
            "previous_response_id", "conversation");
        fields.Refuse("is not supported", "prompt", "context_management", "moderation");
        ReadReasoning(fields);
        JsonArray? tools = ToolFields.Read(fields, call.Limits, isFlat: true);
        IReadOnlyList<string> included = fields.Texts("include", MostLikely) ?? [];
        foreach (string other in included.Where(name => name is not (LogProbsOf or "reasoning.encrypted_content")))
            fields.Problem("include", $"has {RequestFields.Shortened(other)}, expected {LogProbsOf}");
        int? likeliest = fields.Count("top_logprobs", 0, MostLikely);
        return new ChatAsk(text, ResponseInput.Read(call))
        {
            Tools = tools,
            Choice = ToolFields.ReadChoice(fields, tools, isFlat: true),
            AllowsSeveralCalls = fields.Flag("parallel_tool_calls") ?? true,
            Constraint = ReadFormat(call),
            LogProbs = included.Contains(LogProbsOf) ? likeliest ?? 0 : likeliest > 0 ? likeliest : null,
            Streams = isStreamed,
        };
    }

    private static void ReadReasoning(RequestFields fields)
    {
        if (fields.Object("reasoning") is not { } reasoning) return;
        reasoning.Word("effort", "none");
        reasoning.Word("summary", "auto");
        reasoning.RefuseOthers();
    }

    private static Generation.TextConstraint? ReadFormat(Call call)
    {
        if (call.Fields.Object("text") is not { } text) return null;
        text.Word("verbosity", "medium");
        Generation.TextConstraint? constraint =
            text.Object("format") is { } format ? ConstraintFields.OfFormat(format, call.Limits) : null;
        text.RefuseOthers();
        return constraint;
    }
}
