using LowRank.Data.Chat;
using LowRank.Generation;
using LowRank.Generation.Replies;
using LowRank.Serving;
using LowRank.Tokenizers;
using Microsoft.Extensions.AI;

namespace LowRank.Extensions.AI;

using ChatMessage = Microsoft.Extensions.AI.ChatMessage; // of the two that are in reach

/// <summary>How a model, or its adapter, writes conversations.</summary>
internal sealed class ChatForm
{
    private readonly ChatPrompts prompts;
    private readonly int? endOfTurn;

    /// <summary>Prepares the form.</summary>
    /// <exception cref="InputException">The tokenizer has no chat format.</exception>
    public ChatForm(Tokenizer tokenizer)
    {
        prompts = new ChatPrompts(tokenizer);
        endOfTurn = ChatFormats.EndOfTurn(ChatFormats.ForTalking(tokenizer), tokenizer);
    }

    /// <summary>The request of a call, and what reads its answer.</summary>
    /// <param name="ask">What the call asks for.</param>
    /// <param name="messages">The conversation.</param>
    /// <param name="model">The name in the response.</param>
    /// <param name="adapter">The adapter; null for the base alone.</param>
    /// <exception cref="InputException">The conversation cannot be written.</exception>
    public (ServingRequest Request, ReplyUpdates Reply) Ask(
        ChatAsk ask, IReadOnlyList<ChatMessage> messages, string model, string? adapter)
    {
        ChatPrompt prompt = prompts.Write(new ChatPromptRequest(ChatMessageReader.Read(ask.Instructions, messages))
        {
            Tools = ask.Tools?.Declared, TemplateArguments = ask.TemplateArguments,
        });
        var reading = new ReplyReading
        {
            Convention = ask.Tools is null ? null : prompts.Convention,
            Tools = ask.Tools is null ? null : RequestTools.Names(ask.Tools.Declared).ToHashSet(StringComparer.Ordinal),
            Reasoning = prompts.Reasoning,
            BeginsInReasoning = prompt.EndsInReasoning,
            AllowsSeveralCalls = ask.Tools?.AllowsSeveral ?? true,
            Seed = (ulong)Random.Shared.NextInt64(),
        };
        GenerationOptions generation = ask.Request.Generation;
        int[] ends = [.. generation.StopTokenIds, .. endOfTurn is { } end ? [end] : Array.Empty<int>()];
        ServingRequest request = ask.Request with
        {
            Prompt = prompt.Ids,
            Adapters = ask.Request.Adapters.Count > 0 ? ask.Request.Adapters
                : adapter is null ? [] : [new AdapterChoice(adapter)],
            Generation = generation with
            {
                StopTokenIds = ends, Constraint = generation.Constraint ?? Constraint(ask, prompt),
            },
            ShowsSpecialTokens = reading.Convention is not null || reading.Reasoning is not null,
        };
        return (request, new ReplyUpdates(model, new ReplyReader(reading)));
    }

    // Where functions may be called and an answer has a form, the model may do either.
    private TextConstraint? Constraint(ChatAsk ask, ChatPrompt prompt)
    {
        TextConstraint? answer = ask.Format;
        if (ask.Tools is { } tools && (answer is not null || tools.Mode is RequiredChatToolMode))
        {
            var required = tools.Mode as RequiredChatToolMode;
            TextConstraint calls = ReplyConstraint.Calls(
                prompts.Convention!, tools.Closed, required?.RequiredFunctionName, tools.AllowsSeveral);
            answer = required is not null || answer is null ? calls : TextConstraint.AnyOf(calls, answer);
        }
        return answer is null || prompts.Reasoning is not { } marks ? answer
            : ReplyConstraint.AfterThoughts(answer, marks, prompt.EndsInReasoning);
    }
}
