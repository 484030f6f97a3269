using System.Globalization;
using System.Text.Json;
using LowRank.Data;
using LowRank.Server.Requests;
using LowRank.Server.Responses;
using LowRank.Server.Writing;
using LowRank.Serving;
using LowRank.Tokenizers;
using Microsoft.AspNetCore.Routing;

namespace LowRank.Server.Routes;

/// <summary>POST /v1/completions.</summary>
internal static class CompletionRoutes
{
    private const int UsualLength = 16, MostLikely = 20;

    public static void Map(IEndpointRouteBuilder routes, Api api) => api.Post(routes, "/v1/completions", Answer);

    private static async Task Answer(Call call)
    {
        StreamFields stream = StreamFields.Read(call.Fields);
        TextAsk ask = Read(call);
        call.Fields.End();
        foreach (Prompt prompt in ask.Prompts) call.LogPrompt(prompt.Text);
        TextRun run = await TextRun.StartAsync(call, "text_completion", ask.Text.Model,
            [.. ask.Prompts.Select(ask.Request)]).ConfigureAwait(false);
        await using var ending = run.ConfigureAwait(false);
        var answer = new Answering(call, run, ask, Call.NewId("cmpl-"));
        if (stream.IsAsked)
        {
            var events = new EventStream(call);
            await events.Run(() => answer.Stream(events, stream)).ConfigureAwait(false);
        }
        else await answer.Whole().ConfigureAwait(false);
    }

    private static TextAsk Read(Call call)
    {
        RequestFields fields = call.Fields;
        TextFields text = TextFields.Read(call, UsualLength, 0, "max_tokens");
        fields.Refuse("is not supported", "suffix", "audio");
        int? best = fields.Count("best_of", 1);
        if (best is not null && best != text.Count)
            fields.Problem("best_of", "is not supported: give the number of texts as `n`", "unsupported_parameter");
        bool echoes = fields.Flag("echo") ?? false;
        bool writesNone = fields.Count("max_tokens", 0) == 0;
        if (writesNone && !echoes) fields.Problem("max_tokens", "is 0, expected at least 1 without `echo`");
        List<Prompt> prompts = Prompts(call, text.Adapter);
        if ((long)prompts.Count * text.Count > call.Limits.Texts)
            fields.Problem("prompt", string.Create(CultureInfo.InvariantCulture,
                $"with `n` asks for {(long)prompts.Count * text.Count} texts, expected at most {call.Limits.Texts}"),
                "too_many");
        return new TextAsk(text with
        {
            Generation = text.Generation with { Constraint = ConstraintFields.Read(fields, call.Limits) },
        }, prompts, echoes, writesNone, fields.Count("logprobs", 0, MostLikely));
    }

    // A text, texts, token ids, or lists of token ids.
    private static List<Prompt> Prompts(Call call, string? adapter)
    {
        RequestFields fields = call.Fields;
        fields.Require("prompt");
        if (fields.Any("prompt") is not { } given) return [];
        if (given.ValueKind == JsonValueKind.Array && given.GetArrayLength() == 0)
            fields.Problem("prompt", "is empty, expected one prompt at least");
        bool isOne = given.ValueKind != JsonValueKind.Array
            || given.GetArrayLength() > 0 && given[0].ValueKind == JsonValueKind.Number;
        if (!isOne && given.GetArrayLength() > call.Limits.Texts)
        {
            fields.Problem("prompt", string.Create(CultureInfo.InvariantCulture,
                $"has {given.GetArrayLength()} prompts, expected at most {call.Limits.Texts}"), "too_many");
            return [];
        }
        Tokenizer? tokenizer = call.Served.TokenizerOf(adapter);
        JsonElement[] all = isOne ? [given] : [.. given.EnumerateArray()];
        return [.. all.Select(one => One(call, one, tokenizer)).OfType<Prompt>()];
    }

    private static Prompt? One(Call call, JsonElement given, Tokenizer tokenizer)
    {
        if (given.ValueKind == JsonValueKind.String)
        {
            string text = given.GetString()!;
            int[] ids = PromptEncoding.Prompt(tokenizer, text);
            if (ids.Length == 0) ids = call.Served.RequireEngine(null).Encode(text);
            if (ids.Length > 0) return new Prompt(text, ids);
            call.Fields.Problem("prompt", "has no tokens, expected one at least");
            return null;
        }
        List<int> tokens = [];
        bool isList = given.ValueKind == JsonValueKind.Array && given.GetArrayLength() > 0;
        foreach (JsonElement item in isList ? given.EnumerateArray().ToArray() : [])
            if (TextFields.AsToken(item, call.Served) is { } token) tokens.Add(token);
            else
            {
                call.Fields.Wrong("prompt", item, TextFields.TokenRange(call.Served));
                return null;
            }
        if (isList) return new Prompt(tokenizer.Decode(tokens), [.. tokens]);
        call.Fields.Wrong("prompt", given, "a text, a list of token ids, or a list of these");
        return null;
    }

    private sealed record Prompt(string Text, int[] Ids);

    /// <summary>What a client asks for.</summary>
    private sealed record TextAsk(
        TextFields Text, IReadOnlyList<Prompt> Prompts, bool Echoes, bool WritesNone, int? LogProbs)
    {
        public ServingRequest Request(Prompt prompt) => new(prompt.Ids)
        {
            Adapters = Text.Adapters,
            Generation = Text.Generation,
            Count = Text.Count,
            LogProbs = LogProbs,
            PromptLogProbs = Echoes && LogProbs is not null,
            IgnoresEndOfText = Text.IgnoresEnd,
        };

        public Prompt PromptOf(int index) => Prompts[index / Text.Count];
    }

    /// <summary>Sends the texts of a request, whole or in parts.</summary>
    private sealed class Answering(Call call, TextRun run, TextAsk ask, string id)
    {
        private readonly TokenTexts? tokens = ask.LogProbs is null ? null
            : TokenTexts.Of(call.Served.TokenizerOf(ask.Text.Adapter));

        public async Task Whole()
        {
            List<TextChoice> choices = [];
            foreach (ServedPiece text in await run.Whole(call.Left).ConfigureAwait(false))
                choices.Add(Choice(text, Begin(text.Index)));
            await call.Answer(Answer(choices, UsageField.Of(true, Used())), ServerJson.Own.TextCompletion)
                .ConfigureAwait(false);
        }

        public async Task Stream(EventStream events, StreamFields stream)
        {
            var offsets = new int?[ask.Prompts.Count * ask.Text.Count];
            await foreach (ServedPiece piece in run.Pieces(call.Left).ConfigureAwait(false))
            {
                Echo begun = offsets[piece.Index] is { } before ? new Echo("", [], before) : Begin(piece.Index);
                TextChoice choice = Choice(piece, begun);
                offsets[piece.Index] = begun.Offset + Length(choice.Text);
                if (choice.Text.Length == 0 && piece is { Tokens.Count: 0, End: null }) continue;
                await events.Send(Answer([choice], UsageField.Of(stream.WithUsage, null)),
                    ServerJson.Own.TextCompletion).ConfigureAwait(false);
            }
            Usage used = Used();
            if (stream.WithUsage)
                await events.Send(Answer([], UsageField.Of(true, used)), ServerJson.Own.TextCompletion)
                    .ConfigureAwait(false);
            await events.End().ConfigureAwait(false);
        }

        private TextCompletion Answer(IReadOnlyList<TextChoice> choices, JsonElement usage) =>
            new(id, "text_completion", call.Created, ask.Text.Model, choices) { Usage = usage };

        private Usage Used()
        {
            ServingUsage used = run.Usage;
            int written = ask.WritesNone ? 0 : used.NewTokens;
            call.Took = (ask.Text.Model, used.PromptTokens, written);
            return Usage.Of(used.PromptTokens, used.CachedTokens, written);
        }

        // What stands before a text: nothing, or its prompt.
        private Echo Begin(int index) => !ask.Echoes ? new Echo("", [], 0)
            : new Echo(ask.PromptOf(index).Text, run.PromptTokens(index / ask.Text.Count), 0);

        // With max_tokens 0 the prompt alone is shown, and the one token that was written for it is left out.
        private TextChoice Choice(ServedPiece piece, Echo begun)
        {
            string text = begun.Text + (ask.WritesNone ? "" : piece.Text);
            ScoredToken[] scored = [.. begun.Tokens, .. ask.WritesNone ? [] : piece.Tokens];
            return new TextChoice(piece.Index, text, tokens?.Show(scored, begun.Offset), piece.End is null ? null
                : ask.WritesNone ? "length" : TextRun.Reason(piece.End));
        }

        private static int Length(string text) => text.EnumerateRunes().Count();

        private sealed record Echo(string Text, IReadOnlyList<ScoredToken> Tokens, int Offset);
    }
}
