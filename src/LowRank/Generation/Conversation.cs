using System.Text.Json.Nodes;
using LowRank.Data.Chat;
using LowRank.Models;
using LowRank.Tokenizers;

namespace LowRank.Generation;

/// <summary>A conversation with a model in a chat format. All turns share one key-value cache.</summary>
/// <remarks>Not thread-safe, like the model. Dispose of it before the model.</remarks>
/// <param name="model">The model, with its adapters attached; they must not change during the conversation.</param>
/// <param name="tokenizer">The model's tokenizer.</param>
/// <param name="format">The chat format.</param>
/// <param name="tools">The tools that the assistant may call; null for none.</param>
public sealed class Conversation(Decoder model, Tokenizer tokenizer, IChatFormat format, JsonArray? tools = null)
    : IDisposable
{
    private readonly List<JsonObject> turns = [];
    private readonly PrefixCache kept = new();
    private readonly TextGenerator generator = new(model);
    private TokenVocabulary? vocabulary;

    /// <summary>The system message; null for none. May change between turns.</summary>
    public string? System { get; set; }

    /// <summary>The messages of user and assistant so far.</summary>
    public int Turns => turns.Count;

    /// <summary>Forgets the turns; <see cref="System"/> stays.</summary>
    public void Clear()
    {
        turns.Clear();
        kept.Clear();
    }

    /// <summary>Sends a message and generates the reply; both are added to the conversation. After an error the
    /// conversation is unchanged.</summary>
    /// <param name="text">The user's message.</param>
    /// <param name="options">How to choose tokens. The reply ends earlier if the conversation fills the model's
    /// context.</param>
    /// <param name="onText">Called with each new piece of the reply; together the pieces are its text.</param>
    /// <param name="cancellation">Ends the reply after the current token; the text so far is kept.</param>
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
                $"{model.Shape.ContextLength}, including the reply. The message was not added. Start again with " +
                $"{KnownSettings.NewConversation}, or send a shorter message.");
        GenerationOptions fitting = options with { MaxNewTokens = Math.Min(options.MaxNewTokens, room) };
        var assembler = new TextAssembler(tokenizer.CreateStreamingDecoder(), options.StopStrings);
        var words = new global::System.Text.StringBuilder();
        void Hear(string part)
        {
            if (part.Length == 0) return;
            words.Append(part);
            onText?.Invoke(part);
        }
        IReadOnlyList<int> made =
            generator.Continue(prompt, fitting, kept, token =>
            {
                Hear(assembler.Add(token));
                return assembler.IsStopped;
            }, options.Constraint?.Compile(vocabulary ??= TokenVocabulary.Of(
                tokenizer, model.VocabularySize, options.StopTokenIds)), cancellation);
        Hear(assembler.End());
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

/// <summary>The assistant's reply.</summary>
/// <param name="Text">The text, without special tokens.</param>
/// <param name="Tokens">The number of tokens, without the stop token.</param>
/// <param name="PromptTokens">Number of tokens of the conversation before the reply.</param>
/// <param name="ReusedTokens">How many of those were reused from the cache.</param>
/// <param name="End">Why the reply ended.</param>
public sealed record ChatReply(
    string Text, IReadOnlyList<int> Tokens, int PromptTokens, int ReusedTokens, StopReason End);

/// <summary>Why a reply ended.</summary>
public enum StopReason
{
    /// <summary>The model ended its turn.</summary>
    Stop,

    /// <summary>The reply reached <see cref="GenerationOptions.MaxNewTokens"/>.</summary>
    Length,

    /// <summary>The conversation filled the model's context.</summary>
    Context,

    /// <summary>The reply was cancelled.</summary>
    Cancelled,
}
