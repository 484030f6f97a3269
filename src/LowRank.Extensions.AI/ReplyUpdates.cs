using System.Text.Json;
using LowRank.Generation.Replies;
using LowRank.Serving;
using Microsoft.Extensions.AI;

namespace LowRank.Extensions.AI;

/// <summary>Turns the pieces of a text into updates of one response.</summary>
/// <param name="model">The model's name.</param>
/// <param name="reader">Finds thoughts and calls in the text.</param>
internal sealed class ReplyUpdates(string model, ReplyReader reader)
{
    private readonly string id = $"chatcmpl-{Guid.NewGuid():N}";
    private readonly DateTimeOffset created = DateTimeOffset.UtcNow;
    private bool hasCalled;

    /// <summary>Whether nothing more of the text counts.</summary>
    public bool IsDone => reader.IsDone;

    /// <summary>The update of a piece; null if it says nothing yet.</summary>
    public ChatResponseUpdate? Next(ServedPiece piece)
    {
        List<AIContent> contents = Contents(piece.ReadBy(reader));
        return contents.Count == 0 && piece.Tokens.Count == 0 ? null : Update(contents, piece);
    }

    /// <summary>The last update.</summary>
    public ChatResponseUpdate Last(ServingUsage usage, ServedEnd? end)
    {
        ChatResponseUpdate last = Update([new UsageContent(new UsageDetails
        {
            InputTokenCount = usage.PromptTokens,
            CachedInputTokenCount = usage.CachedTokens,
            OutputTokenCount = usage.NewTokens,
            TotalTokenCount = (long)usage.PromptTokens + usage.NewTokens,
        })], null);
        last.FinishReason = end == ServedEnd.Length ? ChatFinishReason.Length
            : hasCalled ? ChatFinishReason.ToolCalls : ChatFinishReason.Stop;
        return last;
    }

    private ChatResponseUpdate Update(List<AIContent> contents, object? raw) => new(ChatRole.Assistant, contents)
    {
        ResponseId = id,
        MessageId = id, // a response is one message
        ModelId = model,
        CreatedAt = created,
        RawRepresentation = raw,
    };

    // A call comes whole, with its arguments after it.
    private List<AIContent> Contents(List<ReplyPart> parts)
    {
        List<AIContent> contents = [];
        for (int i = 0; i < parts.Count; i++)
            switch (parts[i])
            {
                case ReplyPart.Content words: contents.Add(new TextContent(words.Text)); break;
                case ReplyPart.Reasoning thought: contents.Add(new TextReasoningContent(thought.Text)); break;
                case ReplyPart.Call call:
                    hasCalled = true;
                    string arguments = "";
                    while (i + 1 < parts.Count && parts[i + 1] is ReplyPart.Arguments more)
                    {
                        arguments += more.Text;
                        i++;
                    }
                    contents.Add(Call(call, arguments));
                    break;
            }
        return contents;
    }

    // Arguments that were cut off are told as the exception of the content, as by other clients.
    private static FunctionCallContent Call(ReplyPart.Call call, string arguments) =>
        FunctionCallContent.CreateFromParsedArguments(arguments, call.Id, call.Name, static json =>
            JsonSerializer.Deserialize(json,
                (System.Text.Json.Serialization.Metadata.JsonTypeInfo<IDictionary<string, object?>>)
                AIJsonUtilities.DefaultOptions.GetTypeInfo(typeof(IDictionary<string, object?>))));
}
