using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Server.Requests;
using LowRank.Server.Responses;
using LowRank.Server.Writing;
using LowRank.Tokenizers;
using Microsoft.AspNetCore.Routing;

namespace LowRank.Server.Routes;

/// <summary>POST /tokenize and /detokenize, with the fields of vLLM and of llama.cpp's server.</summary>
internal static class TokenRoutes
{
    public static void Map(IEndpointRouteBuilder routes, Api api)
    {
        api.Post(routes, "/tokenize", Tokenize);
        api.Post(routes, "/detokenize", Detokenize);
    }

    private static Task Tokenize(Call call)
    {
        RequestFields fields = call.Fields;
        (_, string? adapter) = TextFields.ReadModel(call);
        Tokenizer tokenizer = call.Served.TokenizerOf(adapter);
        string? prompt = fields.Text("prompt"), content = fields.Text("content");
        JsonElement? messages = fields.Any("messages");
        int given = (prompt is null ? 0 : 1) + (content is null ? 0 : 1) + (messages is null ? 0 : 1);
        if (given != 1 && fields.Problems.Count == 0)
            fields.Problem("prompt", "or `messages` or `content` is needed, and one of them alone");
        bool special = fields.Flag("add_special_tokens") ?? fields.Flag("add_special") ?? content is null;
        bool withPieces = fields.Flag("with_pieces") ?? false, withTexts = fields.Flag("return_token_strs") ?? false;
        int[] ids = messages is null ? tokenizer.Encode(prompt ?? content ?? "", special) : Conversation(call, adapter);
        fields.End();
        JsonArray tokens = [.. ids.Select(id => withPieces
            ? new JsonObject { ["id"] = id, ["piece"] = Piece(tokenizer, id) } : (JsonNode)id)];
        return call.Answer(new TokenizeAnswer(ids.Length, call.Served.Context, tokens)
        {
            TokenStrs = withTexts ? [.. ids.Select(id => tokenizer.IdToToken(id) ?? "")] : null,
        }, ServerJson.Own.TokenizeAnswer);
    }

    private static Task Detokenize(Call call)
    {
        (_, string? adapter) = TextFields.ReadModel(call);
        call.Fields.Require("tokens");
        int[] ids = TextFields.ReadTokens(call, "tokens", 1 << 20);
        call.Fields.End();
        string text = call.Served.TokenizerOf(adapter).Decode(ids);
        return call.Answer(new DetokenizeAnswer(text, text), ServerJson.Own.DetokenizeAnswer);
    }

    private static int[] Conversation(Call call, string? adapter)
    {
        IReadOnlyList<RequestFields> messages = call.Fields.Objects("messages", call.Limits.Messages) ?? [];
        JsonArray? tools = ToolFields.Read(call.Fields, call.Limits, isFlat: false);
        call.Fields.ThrowIfAny();
        return ChatForm.Of(call.Served.TokenizerOf(adapter)).Tokens(
            [.. messages.Select(message => JsonNode.Parse(message.Element.GetRawText()))], tools,
            call.Fields.Flag("add_generation_prompt") ?? true);
    }

    // A part of a character has no text: its bytes are shown.
    private static JsonNode Piece(Tokenizer tokenizer, int id) => TokenTexts.Of(tokenizer).Whole(id) is { } text
        ? text : new JsonArray([.. TokenTexts.Of(tokenizer).Numbers(id).Select(value => (JsonNode)value)]);
}
