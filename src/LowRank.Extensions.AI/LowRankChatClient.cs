using System.Runtime.CompilerServices;
using LowRank.Serving;
using LowRank.Tokenizers;
using Microsoft.Extensions.AI;

namespace LowRank.Extensions.AI;

using ChatMessage = Microsoft.Extensions.AI.ChatMessage; // of the two that are in reach

/// <summary>Talks with a model of this process, and with one of its adapters.</summary>
/// <remarks>Thread-safe: conversations with all adapters of an engine are written at the same time. Each call writes
/// the conversation in the model's chat template; the beginning that it shares with an earlier one is not computed
/// again. Without settings the likeliest token is taken each time, up to the end of the model's context; <c>TopP</c>,
/// <c>TopK</c> or <c>min_p</c> without a temperature draw at temperature 1. Functions are asked for with
/// <see cref="FunctionCallContent"/>; <c>UseFunctionInvocation</c> calls them. Who made the engine disposes of
/// it.</remarks>
/// <example><code>
/// using IChatClient client = new LowRankChatClient(engine, "hotels");
/// ChatResponse response = await client.GetResponseAsync("name: The Blue Lamp | type: hotel");
/// Console.WriteLine(response.Text);
/// </code></example>
public sealed class LowRankChatClient : IChatClient
{
    internal const string Provider = "lowrank";

    private readonly Func<CancellationToken, Task<ServingEngine>> open;
    private readonly string baseName;
    private readonly string? adapter;
    private readonly ChatClientMetadata metadata;
    private readonly ConditionalWeakTable<Tokenizer, ChatForm> forms = [];

    /// <summary>Creates a client.</summary>
    /// <param name="engine">The engine.</param>
    /// <param name="adapter">The name of the engine's adapter to talk with, unless a call names another
    /// (<see cref="ChatOptions.ModelId"/>); null for the base alone.</param>
    public LowRankChatClient(ServingEngine engine, string? adapter = null)
        : this(_ => Task.FromResult(engine),
            LowRankOptions.NameOf((engine ?? throw new ArgumentNullException(nameof(engine))).Model.Name), adapter)
    {
    }

    internal LowRankChatClient(
        Func<CancellationToken, Task<ServingEngine>> open, string baseName, string? adapter)
    {
        (this.open, this.baseName, this.adapter) = (open, baseName, adapter);
        metadata = new ChatClientMetadata(Provider, null, adapter ?? baseName);
    }

    /// <summary>Answers a conversation.</summary>
    /// <param name="messages">The conversation; the last message asks.</param>
    /// <param name="options">How; null for the defaults. They are not changed.</param>
    /// <param name="cancellationToken">Ends the work, wherever it is.</param>
    /// <exception cref="InputException">Messages or options cannot be honoured: all problems at once; or the model has
    /// no chat template, or the template refuses the conversation.</exception>
    /// <exception cref="ServingException">The engine is busy or ending, there is no such adapter, or the conversation
    /// leaves no room in the model's context.</exception>
    public Task<ChatResponse> GetResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null,
        CancellationToken cancellationToken = default) =>
        GetStreamingResponseAsync(messages, options, cancellationToken).ToChatResponseAsync(cancellationToken);

    /// <summary>Answers a conversation while the answer is written. The last update has the usage and the reason of the
    /// end. Leaving the loop ends the work.</summary>
    /// <inheritdoc cref="GetResponseAsync"/>
    public IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(messages);
        return Write([.. messages], options?.Clone(), cancellationToken);
    }

    /// <summary>Gives itself and its <see cref="ChatClientMetadata"/>.</summary>
    public object? GetService(Type serviceType, object? serviceKey = null)
    {
        ArgumentNullException.ThrowIfNull(serviceType);
        return serviceKey is not null ? null
            : serviceType == typeof(ChatClientMetadata) ? metadata
            : serviceType.IsInstanceOfType(this) ? this : null;
    }

    /// <summary>Does nothing: the engine is its maker's.</summary>
    public void Dispose()
    {
    }

    private async IAsyncEnumerable<ChatResponseUpdate> Write(
        ChatMessage[] messages, ChatOptions? options, [EnumeratorCancellation] CancellationToken cancellation)
    {
        ChatAsk ask = ChatOptionsReader.Read(this, options);
        ServingEngine engine = await open(cancellation).ConfigureAwait(false);
        string model = ask.ModelId ?? adapter ?? baseName;
        string? used = model == baseName ? null : model;
        ChatForm form = forms.GetValue(engine.TokenizerOf(used), tokenizer => new ChatForm(tokenizer));
        (ServingRequest request, ReplyUpdates reply) = form.Ask(ask, messages, model, used);
        ServedText text = await engine.SubmitAsync(request, cancellation).ConfigureAwait(false);
        ServedEnd? end = null;
        await foreach (ServedPiece piece in text.WithCancellation(cancellation).ConfigureAwait(false))
        {
            end = piece.End;
            if (reply.Next(piece) is { } update) yield return update;
            if (reply.IsDone) break;
        }
        yield return reply.Last(text.Usage, end);
    }
}
