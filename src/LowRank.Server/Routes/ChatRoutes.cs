using System.Text.Json.Nodes;
using LowRank.Generation.Replies;
using LowRank.Server.Requests;
using LowRank.Server.Responses;
using LowRank.Server.Writing;
using LowRank.Serving;
using Microsoft.AspNetCore.Routing;

namespace LowRank.Server.Routes;

/// <summary>POST /v1/chat/completions.</summary>
internal static class ChatRoutes
{
    private const int MostLikely = 20;
    private const string Whole = "chat.completion", Part = "chat.completion.chunk";

    public static void Map(IEndpointRouteBuilder routes, Api api) => api.Post(routes, "/v1/chat/completions", Answer);

    private static async Task Answer(Call call)
    {
        StreamFields stream = StreamFields.Read(call.Fields);
        ChatAsk ask = Read(call, stream.IsAsked);
        call.Fields.End();
        ChatRun run = await ChatRun.StartAsync(call, ask).ConfigureAwait(false);
        await using var ending = run.ConfigureAwait(false);
        var head = (Id: Call.NewId("chatcmpl-"), call.Created, ask.Text.Model);
        if (stream.IsAsked)
        {
            var events = new EventStream(call);
            await events.Run(() => Stream(call, run, events, stream, head)).ConfigureAwait(false);
            return;
        }
        IReadOnlyList<CollectedReply> replies =
            await CollectedReply.Read(run.Texts, run.Work, call.Left).ConfigureAwait(false);
        List<ChatChoice> choices = [.. replies.Index().Select(reply => Choice(reply.Index, reply.Item, run.Tokens))];
        ServingUsage used = run.Texts.Took();
        await call.Answer(
            new ChatCompletion(head.Id, Whole, head.Created, head.Model, choices,
                Usage.Of(used.PromptTokens, used.CachedTokens, used.NewTokens)),
            ServerJson.Own.ChatCompletion).ConfigureAwait(false);
    }

    private static ChatAsk Read(Call call, bool isStreamed)
    {
        RequestFields fields = call.Fields;
        TextFields text = TextFields.Read(call, call.Served.Context, 1, "max_completion_tokens", "max_tokens");
        fields.Accept("prediction"); // says what the text may be, to be faster; it changes no text
        fields.Word("verbosity", "medium");
        if (fields.Flag("store") == true) fields.Problem("store", "is not supported: nothing is stored");
        foreach (string kind in fields.Texts("modalities", MostLikely) ?? [])
            if (kind != "text") fields.Problem("modalities", "has another kind than \"text\"", "unsupported_parameter");
        fields.Refuse("is not supported", "audio", "web_search_options", "moderation", "documents");
        fields.Refuse("is not supported: no template comes with a request", "chat_template");
        fields.Refuse("is not supported; a model whose template has such a setting takes it in " +
            "`chat_template_kwargs`", "reasoning_effort");
        fields.Refuse("was replaced by `tools`", "functions");
        fields.Refuse("was replaced by `tool_choice`", "function_call");
        JsonArray? tools = ToolFields.Read(fields, call.Limits, isFlat: false);
        return new ChatAsk(text, Messages(call))
        {
            Tools = tools,
            Choice = ToolFields.ReadChoice(fields, tools, isFlat: false),
            AllowsSeveralCalls = fields.Flag("parallel_tool_calls") ?? true,
            Constraint = ConstraintFields.Read(fields, call.Limits),
            LogProbs = ReadLogProbs(fields),
            Streams = isStreamed,
            TemplateArguments = fields.Object("chat_template_kwargs") is { } arguments
                ? JsonNode.Parse(arguments.Element.GetRawText())!.AsObject() : null,
            ContinuesLastMessage = ReadContinuing(fields),
        };
    }

    // vLLM's clients have to send both where an answer continues the last message.
    private static bool ReadContinuing(RequestFields fields)
    {
        bool continues = fields.Flag("continue_final_message") ?? false;
        if (fields.Flag("add_generation_prompt") == continues)
            fields.Problem("add_generation_prompt", continues
                ? "is true, but with `continue_final_message` no new message begins"
                : "is false, which needs `continue_final_message`");
        return continues;
    }

    private static int? ReadLogProbs(RequestFields fields)
    {
        bool areAsked = fields.Flag("logprobs") ?? false;
        int? likeliest = fields.Count("top_logprobs", 0, MostLikely);
        if (likeliest is not null && !areAsked) fields.Problem("top_logprobs", "needs `logprobs`: true");
        return areAsked ? likeliest ?? 0 : null;
    }

    // What is in a message is checked by who writes prompts, with the place of each problem.
    private static JsonArray Messages(Call call)
    {
        call.Fields.Require("messages");
        if (call.Fields.Objects("messages", call.Limits.Messages) is not { } messages) return [];
        if (messages.Count == 0) call.Fields.Problem("messages", "is empty, expected one message at least");
        return [.. messages.Select(message => JsonNode.Parse(message.Element.GetRawText()))];
    }

    private static ChatChoice Choice(int index, CollectedReply collected, TokenTexts? tokens)
    {
        Reply reply = collected.Reply;
        ToolCall[] calls = [.. reply.Calls.Select(one =>
            new ToolCall(one.Id, "function", new CalledFunction(one.Name, one.Arguments)))];
        return new ChatChoice(index,
            new ChatAnswer("assistant", reply.Content ?? (calls.Length == 0 ? "" : null), null)
            {
                ReasoningContent = reply.Reasoning, ToolCalls = calls.Length == 0 ? null : calls,
            },
            Shown(collected.Tokens, tokens), collected.Reason);
    }

    private static async Task Stream(Call call, ChatRun run, EventStream events, StreamFields stream,
        (string Id, long Created, string Model) head)
    {
        ChatWork work = run.Work;
        Task Send(int index, object delta, ChoiceLogProbs? scores, string? reason) => events.Send(
            new ChatChunk(head.Id, Part, head.Created, head.Model, [new ChatChunkChoice(index, delta, scores, reason)])
                { Usage = UsageField.Of(stream.WithUsage, null) }, ServerJson.Own.ChatChunk);
        var readers = new ReplyReader?[work.Request.Count];
        await foreach (ServedPiece piece in run.Texts.Pieces(call.Left).ConfigureAwait(false))
        {
            if (readers[piece.Index] is not { } reader)
            {
                readers[piece.Index] = reader = work.Reader(piece.Index);
                await Send(piece.Index, new RoleDelta("assistant", null), null, null).ConfigureAwait(false);
            }
            List<ReplyPart> parts = piece.ReadBy(reader);
            ChoiceLogProbs? scores = Shown(piece.Tokens, run.Tokens);
            foreach (object delta in Deltas(parts, scores))
            {
                await Send(piece.Index, delta, scores, null).ConfigureAwait(false);
                scores = null; // with the first delta of their piece
            }
            bool isDone = reader.IsDone && work.Request.Count == 1;
            if (piece.End is not null || isDone)
                await Send(piece.Index, new EmptyDelta(), null,
                    CollectedReply.ReasonOf(piece.End, reader.Calls > 0)).ConfigureAwait(false);
            if (isDone) break; // its one call is whole: nothing more counts
        }
        ServingUsage used = run.Texts.Took();
        if (stream.WithUsage)
            await events.Send(new ChatChunk(head.Id, Part, head.Created, head.Model, [])
            {
                Usage = UsageField.Of(true, Usage.Of(used.PromptTokens, used.CachedTokens, used.NewTokens)),
            }, ServerJson.Own.ChatChunk).ConfigureAwait(false);
        await events.End().ConfigureAwait(false);
    }

    // Tokens whose text is held back or is a mark come with an empty piece of text.
    private static IEnumerable<object> Deltas(List<ReplyPart> parts, ChoiceLogProbs? scores)
    {
        if (parts.Count == 0 && scores is { Content.Count: > 0 }) yield return new TextDelta("");
        foreach (ReplyPart part in parts)
            yield return part switch
            {
                ReplyPart.Content words => new TextDelta(words.Text),
                ReplyPart.Reasoning thought => new ReasoningDelta(thought.Text),
                ReplyPart.Call begun => new CallDelta([new ToolCallDelta(begun.Index,
                    new FunctionDelta("") { Name = begun.Name }) { Id = begun.Id, Type = "function" }]),
                ReplyPart.Arguments more =>
                    new CallDelta([new ToolCallDelta(more.Index, new FunctionDelta(more.Text))]),
                _ => new EmptyDelta(),
            };
    }

    private static ChoiceLogProbs? Shown(IReadOnlyList<ScoredToken> scored, TokenTexts? tokens) =>
        tokens is null ? null : new ChoiceLogProbs([.. scored.Select(tokens.Show)], null);
}
