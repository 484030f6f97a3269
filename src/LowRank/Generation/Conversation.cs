using System.Text.Json.Nodes;
using LowRank.Data.Chat;
using LowRank.Models;
using LowRank.Tokenizers;

namespace LowRank.Generation;

/// <summary>A conversation with a model, written in a chat format. One key-value cache serves all its turns.</summary>
/// <remarks>One thread owns it, as it owns the model. Dispose of it before the model.</remarks>
/// <param name="model">The model, with its adapters attached; they must not change while the conversation
/// lasts.</param>
/// <param name="tokenizer">The model's tokenizer.</param>
/// <param name="format">How the conversation is written.</param>
/// <param name="tools">What the assistant may call; null for none.</param>
public sealed class Conversation(Decoder model, Tokenizer tokenizer, IChatFormat format, JsonArray? tools = null)
    : IDisposable
{
    private readonly List<JsonObject> turns = [];
    private readonly PrefixCache kept = new();
    private readonly TextGenerator generator = new(model);

    /// <summary>What the model is told before the turns; null for nothing. May change between turns.</summary>
    public string? System { get; set; }

    /// <summary>The messages of user and assistant so far.</summary>
    public int Turns => turns.Count;

    /// <summary>Forgets the turns; <see cref="System"/> stays.</summary>
    public void Clear()
    {
        turns.Clear();
        kept.Clear();
    }

    /// <summary>Says something and has it answered; both are kept. After an error the conversation is as
    /// before.</summary>
    /// <param name="text">What the user says.</param>
    /// <param name="options">How tokens are chosen. The reply ends earlier where the conversation fills the model's
    /// context.</param>
    /// <param name="onText">Called with the words of the reply as they come; together they are its text.</param>
    /// <param name="cancellation">Ends the reply after the current token; what was said is kept.</param>
    /// <exception cref="InputException">The format refuses the conversation, it leaves no room in the model's context
    /// for a reply, or the options are out of range.</exception>
    public ChatReply Reply(
        string text, GenerationOptions options, Action<string>? onText = null, CancellationToken cancellation = default)
    {
        options.Validate();
        JsonObject said = ChatFormats.Message("user", text);
        int[] prompt = ChatFormats.Prompt(format, tokenizer, Messages(said), tools);
        int room = generator.Room(prompt);
        if (room < 1)
            throw new InputException(
                $"The conversation has {prompt.Length} tokens with this message; the model's context holds " +
                $"{model.Shape.ContextLength}, " +
                "the reply included. The message was not added. Begin anew with /clear, or say less.");
        GenerationOptions fitting = options with { MaxNewTokens = Math.Min(options.MaxNewTokens, room) };
        StreamingDecoder decoder = tokenizer.CreateStreamingDecoder();
        var words = new global::System.Text.StringBuilder();
        void Hear(string part)
        {
            if (part.Length == 0) return;
            words.Append(part);
            onText?.Invoke(part);
        }
        IReadOnlyList<int> made =
            generator.Continue(prompt, fitting, kept, token => Hear(decoder.Add(token)), cancellation);
        Hear(decoder.Flush());
        turns.AddRange([said, ChatFormats.Message("assistant", words.ToString())]);
        return new ChatReply(
            words.ToString(), made, prompt.Length, kept.Reused, End(made.Count, options, fitting, cancellation));
    }

    /// <inheritdoc/>
    public void Dispose() => kept.Dispose();

    private JsonArray Messages(JsonObject said)
    {
        JsonObject[] first = System is null ? [] : [ChatFormats.Message("system", System)];
        return [.. first.Concat(turns).Append(said).Select(message => message.DeepClone())];
    }

    private static StopReason End(
        int made, GenerationOptions asked, GenerationOptions fitting, CancellationToken cancellation) =>
        made == asked.MaxNewTokens ? StopReason.Length
        : made == fitting.MaxNewTokens ? StopReason.Context
        : cancellation.IsCancellationRequested ? StopReason.Cancelled
        : StopReason.Stop;
}

/// <summary>What the assistant answered.</summary>
/// <param name="Text">Its words, without special tokens.</param>
/// <param name="Tokens">Its tokens, without the stop token.</param>
/// <param name="PromptTokens">Tokens of the conversation before it.</param>
/// <param name="ReusedTokens">How many of those were not computed again.</param>
/// <param name="End">Why it ended.</param>
public sealed record ChatReply(
    string Text, IReadOnlyList<int> Tokens, int PromptTokens, int ReusedTokens, StopReason End);

/// <summary>Why a reply ended.</summary>
public enum StopReason
{
    /// <summary>The model ended its turn.</summary>
    Stop,

    /// <summary>It reached <see cref="GenerationOptions.MaxNewTokens"/>.</summary>
    Length,

    /// <summary>The conversation filled the model's context.</summary>
    Context,

    /// <summary>It was asked to stop.</summary>
    Cancelled,
}
