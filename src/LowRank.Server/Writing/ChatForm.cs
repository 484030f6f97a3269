using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;
using LowRank.Data.Chat;
using LowRank.Generation;
using LowRank.Generation.Replies;
using LowRank.Server.Requests;
using LowRank.Serving;
using LowRank.Tokenizers;

namespace LowRank.Server.Writing;

/// <summary>How a model, or its adapter, writes conversations.</summary>
internal sealed class ChatForm
{
    private static readonly ConditionalWeakTable<Tokenizer, ChatForm> Known = [];

    private readonly ChatPrompts prompts;
    private readonly int? endOfTurn;

    private ChatForm(Tokenizer tokenizer)
    {
        prompts = new ChatPrompts(tokenizer);
        endOfTurn = ChatFormats.EndOfTurn(ChatFormats.ForTalking(tokenizer), tokenizer);
    }

    /// <summary>The form of a tokenizer.</summary>
    /// <exception cref="ApiException">It has no chat format.</exception>
    public static ChatForm Of(Tokenizer tokenizer)
    {
        try
        {
            return Known.GetValue(tokenizer, one => new ChatForm(one));
        }
        catch (InputException refused)
        {
            throw ApiException.Invalid(refused.Message, "model", "no_chat_template");
        }
    }

    /// <summary>Whether a model calls tools.</summary>
    public static bool CallsTools(Tokenizer tokenizer) =>
        ChatFormats.Obstacle(tokenizer) is null && Of(tokenizer).prompts.Convention is not null;

    /// <summary>The request for the engine, and what reads its answers.</summary>
    /// <param name="ask">What the client asks for.</param>
    /// <exception cref="ApiException">The conversation cannot be written.</exception>
    public ChatWork Write(ChatAsk ask)
    {
        JsonArray? tools = ask.Choice.Kind == ToolChoiceKind.None ? null : ask.Tools;
        ChatPrompt prompt = Prompt(new ChatPromptRequest(ask.Messages)
        {
            Tools = tools, TemplateArguments = ask.TemplateArguments, ContinuesLastMessage = ask.ContinuesLastMessage,
        });
        var reading = new ReplyReading
        {
            Convention = tools is null ? null : prompts.Convention,
            Tools = tools is null ? null : RequestTools.Names(tools).ToHashSet(StringComparer.Ordinal),
            Reasoning = prompts.Reasoning,
            BeginsInReasoning = prompt.EndsInReasoning,
            AllowsSeveralCalls = ask.AllowsSeveralCalls,
            Streams = ask.Streams,
        };
        GenerationOptions generation = ask.Text.Generation;
        var request = new ServingRequest(prompt.Ids)
        {
            Adapters = ask.Text.Adapters,
            Generation = generation with
            {
                StopTokenIds = endOfTurn is { } end && !ask.Text.IgnoresEnd ? [.. generation.StopTokenIds, end]
                    : generation.StopTokenIds,
                Constraint = Constraint(ask, tools, prompt.EndsInReasoning),
            },
            Count = ask.Text.Count,
            LogProbs = ask.LogProbs,
            IgnoresEndOfText = ask.Text.IgnoresEnd,
            ShowsSpecialTokens = reading.Convention is not null || reading.Reasoning is not null,
        };
        return new ChatWork(request, prompt.Text, reading);
    }

    // Calls that are required, or the format that was asked for; thoughts may come before.
    private TextConstraint? Constraint(ChatAsk ask, JsonArray? tools, bool thinks)
    {
        bool mustCall = ask.Choice.Kind is ToolChoiceKind.Required or ToolChoiceKind.Named;
        if (mustCall && ask.Constraint is not null)
            throw ApiException.Invalid(
                "`response_format` says what the words are, and `tool_choice` asks for a call instead.", "tool_choice",
                "invalid_value");
        try
        {
            TextConstraint? constraint = mustCall ? ReplyConstraint.Calls(
                prompts.Convention!, tools!, ask.Choice.Name, ask.AllowsSeveralCalls) : ask.Constraint;
            return constraint is not null && prompts.Reasoning is { } marks
                ? ReplyConstraint.AfterThoughts(constraint, marks, thinks) : constraint;
        }
        catch (InputException refused)
        {
            throw ApiException.Invalid(refused.Message, Place(refused), "unsupported_schema");
        }
    }

    /// <summary>The tokens of a conversation.</summary>
    /// <exception cref="ApiException">It cannot be written.</exception>
    public int[] Tokens(JsonArray messages, JsonArray? tools, bool forReply) =>
        Prompt(new ChatPromptRequest(messages) { Tools = tools, ForReply = forReply }).Ids;

    private ChatPrompt Prompt(ChatPromptRequest request)
    {
        try
        {
            return prompts.Write(request);
        }
        catch (InputException refused)
        {
            throw ApiException.Invalid(refused.Message, Place(refused), "invalid_messages");
        }
    }

    // Problems name their place in the request: messages[2].content, tools[0].function.name.
    private static string Place(InputException refused)
    {
        string first = refused.Problems.Count > 0 ? refused.Problems[0] : refused.Message;
        int end = first.IndexOf(": ", StringComparison.Ordinal);
        return end > 0 && (first.StartsWith("tools", StringComparison.Ordinal)
            || first.StartsWith("messages", StringComparison.Ordinal)
            || first.StartsWith("chat_template_kwargs", StringComparison.Ordinal)) ? first[..end] : "messages";
    }
}

/// <summary>What a client asks for in a conversation.</summary>
/// <param name="Text">What requests for texts have in common.</param>
/// <param name="Messages">The conversation, in the form of OpenAI's chat completions.</param>
internal sealed record ChatAsk(TextFields Text, JsonArray Messages)
{
    /// <summary>The tools; null for none.</summary>
    public JsonArray? Tools { get; init; }

    /// <summary>Which of them may or has to be called.</summary>
    public ToolChoice Choice { get; init; } = ToolChoice.Auto;

    /// <summary>Whether a reply may call several.</summary>
    public bool AllowsSeveralCalls { get; init; } = true;

    /// <summary>What the reply has to be; null for anything.</summary>
    public TextConstraint? Constraint { get; init; }

    /// <summary>Likeliest tokens beside each one; null for no log-probabilities.</summary>
    public int? LogProbs { get; init; }

    /// <summary>Whether calls are sent while they are written.</summary>
    public bool Streams { get; init; }

    /// <summary>Values of the chat template's own variables; null for none.</summary>
    public JsonObject? TemplateArguments { get; init; }

    /// <summary>Whether the reply continues the last message, the assistant's.</summary>
    public bool ContinuesLastMessage { get; init; }
}

/// <summary>A conversation as the engine takes it.</summary>
/// <param name="Request">The request.</param>
/// <param name="Prompt">The prompt's text.</param>
/// <param name="Reading">How its replies are read.</param>
internal sealed record ChatWork(ServingRequest Request, string Prompt, ReplyReading Reading)
{
    /// <summary>A reader of one of its texts.</summary>
    /// <param name="index">The text's number: calls of each have ids of their own.</param>
    public ReplyReader Reader(int index) =>
        new(Reading with { Seed = unchecked((ulong)Request.Generation.Seed + (ulong)index * 0x9E3779B97F4A7C15) });
}
