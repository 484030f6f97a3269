using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using LowRank.Data;
using LowRank.Data.Chat;
using LowRank.Generation.Replies;
using LowRank.Server.Requests;
using LowRank.Server.Responses;
using LowRank.Server.Writing;
using LowRank.Serving;
using LowRank.Tokenizers;
using Microsoft.AspNetCore.Routing;

namespace LowRank.Server.Routes;

/// <summary>POST /api/chat, /api/generate and /api/embed: Ollama's form, on the same engine.</summary>
internal static class OllamaRoutes
{
    public static void Map(IEndpointRouteBuilder routes, Api api)
    {
        api.Post(routes, "/api/chat", Chat);
        api.Post(routes, "/api/generate", Generate);
        api.Post(routes, "/api/embed", Embed);
        OllamaModels.Map(routes, api);
    }

    private static async Task Chat(Call call)
    {
        (TextFields text, var constraint, bool isStreamed) = OllamaFields.Read(call);
        JsonArray? tools = ToolFields.Read(call.Fields, call.Limits, isFlat: false);
        JsonArray messages = OllamaFields.Messages(call);
        call.Fields.End();
        if (messages.Count == 0)
        {
            await call.Answer(new OllamaChatAnswer(text.Model, Now(), new OllamaMessage("assistant", ""), true)
                { DoneReason = "load" }, ServerJson.Own.OllamaChatAnswer).ConfigureAwait(false);
            return;
        }
        ChatWork work = ChatForm.Of(call.Served.TokenizerOf(text.Adapter)).Write(
            new ChatAsk(text, messages) { Tools = tools, Constraint = constraint });
        await Answer(call, text, work, isStreamed, events => new ChatLines(events, text.Model)).ConfigureAwait(false);
    }

    private static async Task Generate(Call call)
    {
        (TextFields text, var constraint, bool isStreamed) = OllamaFields.Read(call);
        RequestFields fields = call.Fields;
        fields.Refuse("is not supported", "suffix", "images", "template", "context");
        string prompt = fields.Text("prompt") ?? "";
        string? system = fields.Text("system");
        bool isRaw = fields.Flag("raw") ?? false;
        Tokenizer tokenizer = call.Served.TokenizerOf(text.Adapter);
        bool talks = !isRaw && tokenizer.ChatTemplates.Count > 0;
        if (system is { Length: > 0 } && !talks)
            fields.Problem("system", "has no place: the prompt is continued as it is, without a chat template");
        fields.End();
        if (prompt.Length == 0)
        {
            await call.Answer(new OllamaTextAnswer(text.Model, Now(), "", true) { DoneReason = "load" },
                ServerJson.Own.OllamaTextAnswer).ConfigureAwait(false);
            return;
        }
        ChatWork work = talks ? ChatForm.Of(tokenizer).Write(new ChatAsk(text, Conversation(system, prompt))
            { Constraint = constraint }) : Continued(text, tokenizer, prompt, constraint);
        await Answer(call, text, work, isStreamed, events => new TextLines(events, text.Model)).ConfigureAwait(false);
    }

    private static async Task Embed(Call call)
    {
        long started = Stopwatch.GetTimestamp();
        (string model, string? adapter) = OllamaFields.ReadModel(call);
        call.Fields.Accept("keep_alive", "options");
        call.Fields.Flag("truncate"); // a text that is too long is refused, never cut
        call.Fields.Refuse("is not supported", "dimensions");
        InputTexts texts = InputTexts.Read(call, "input");
        call.Fields.End();
        List<float[]> vectors = await EmbeddingRoutes.Embed(call, adapter, texts, null).ConfigureAwait(false);
        await call.Answer(new OllamaEmbeddings(model, vectors, Nanoseconds(Stopwatch.GetElapsedTime(started)), 0,
            texts.Tokens), ServerJson.Own.OllamaEmbeddings).ConfigureAwait(false);
    }

    private static JsonArray Conversation(string? system, string prompt) =>
        system is { Length: > 0 } ? [ChatFormats.Message("system", system), ChatFormats.Message("user", prompt)]
            : [ChatFormats.Message("user", prompt)];

    private static ChatWork Continued(
        TextFields text, Tokenizer tokenizer, string prompt, Generation.TextConstraint? constraint) =>
        new(new ServingRequest(PromptEncoding.Prompt(tokenizer, prompt))
        {
            Adapters = text.Adapters, Generation = text.Generation with { Constraint = constraint },
        }, prompt, new ReplyReading());

    private static async Task Answer(
        Call call, TextFields text, ChatWork work, bool isStreamed, Func<EventStream, OllamaLines> lines)
    {
        call.LogPrompt(work.Prompt);
        TextRun run = await TextRun.StartAsync(call, "chat", text.Model, [work.Request]).ConfigureAwait(false);
        await using var ending = run.ConfigureAwait(false);
        if (!isStreamed)
        {
            CollectedReply reply = (await CollectedReply.Read(run, work, call.Left).ConfigureAwait(false))[0];
            run.Took();
            await lines(new EventStream(call, asLines: true)).Whole(call, reply.Reply, run, reply.End)
                .ConfigureAwait(false);
            return;
        }
        var events = new EventStream(call, asLines: true);
        OllamaLines written = lines(events);
        await events.Run(async () =>
        {
            ReplyReader reader = work.Reader(0);
            ServedEnd? end = null;
            await foreach (ServedPiece piece in run.Pieces(call.Left).ConfigureAwait(false))
            {
                List<ReplyPart> parts = piece.ReadBy(reader);
                end = piece.End;
                if (parts.Count > 0) await written.Part(Reply.Of(Rebased(parts))).ConfigureAwait(false);
                if (reader.IsDone) break;
            }
            run.Took();
            await written.End(run, end).ConfigureAwait(false);
        }).ConfigureAwait(false);
    }

    // Calls of a line are numbered from 0.
    private static IEnumerable<ReplyPart> Rebased(List<ReplyPart> parts)
    {
        int first = parts.OfType<ReplyPart.Call>().FirstOrDefault()?.Index ?? 0;
        return parts.Select(part => part switch
        {
            ReplyPart.Call call => call with { Index = call.Index - first },
            ReplyPart.Arguments more => more with { Index = more.Index - first },
            _ => part,
        });
    }

    /// <summary>The time, as Ollama writes it.</summary>
    public static string Now() => DateTimeOffset.UtcNow.ToString("O", CultureInfo.InvariantCulture);

    /// <summary>A time in nanoseconds.</summary>
    public static long Nanoseconds(TimeSpan time) => time.Ticks * TimeSpan.NanosecondsPerTick;
}
